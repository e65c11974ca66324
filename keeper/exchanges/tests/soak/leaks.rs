//! What a process holds: memory, open files, tasks.

/// How much more memory there may be at the end than after the warm-up, kibibytes: 24 MiB are what the allocator keeps back
/// after the largest list of orders was read; a leak of one frame a second would be more within the hour.
pub const MEMORY_MARGIN: u64 = 24 * 1024;
/// How many more open files: a reconnect under way has two sockets, each venue has up to three sockets and idle requests.
pub const FILES_MARGIN: usize = 7 * 4;
/// How many more tasks: the same, with the tasks of connections under way.
pub const TASKS_MARGIN: usize = 7 * 6;

#[derive(Debug, Clone, Copy)]
pub struct Held {
    /// Resident, kibibytes.
    pub memory: u64,
    /// Files and sockets.
    pub files: usize,
    /// Tasks of the runtime.
    pub tasks: usize,
}

impl Held {
    /// Now, but for so many tasks that have a right to be there. None where the system does not tell (it does on Linux).
    pub fn now(expected_tasks: usize) -> Option<Self> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let memory = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .ok()?;
        Some(Self {
            memory,
            files: std::fs::read_dir("/proc/self/fd").ok()?.count(),
            tasks: tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
                .saturating_sub(expected_tasks),
        })
    }

    /// Panics if there is more than may have come since `before`.
    pub fn assert_not_more_than(self, before: Self) {
        assert!(
            self.memory <= before.memory + MEMORY_MARGIN,
            "memory: {before:?}, then {self:?}"
        );
        assert!(
            self.files <= before.files + FILES_MARGIN,
            "open files: {before:?}, then {self:?}"
        );
        assert!(
            self.tasks <= before.tasks + TASKS_MARGIN,
            "tasks: {before:?}, then {self:?}"
        );
    }
}
