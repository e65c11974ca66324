//! What a process holds: memory, open files, tasks.

/// How much more memory there may be at the end than after the warm-up, kibibytes: 24 MiB are what the allocator keeps back
/// after the largest list of orders was read; a leak of one frame a second would be more within the hour.
pub const MEMORY_MARGIN: u64 = 24 * 1024;
/// Kibibytes that may be kept of each order and each fill: this test keeps them to compare, the client keeps the ids of the
/// fills it has seen, ten thousand of an instrument.
pub const PER_RECORD: u64 = 1;
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
    /// Now, but for `asking` tasks that ask what became of an order, each with a connection: there are as many as orders
    /// were lost within their validity, ten minutes at HTX. None where the system does not tell (it does on Linux).
    pub fn now(asking: usize) -> Option<Self> {
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
            files: std::fs::read_dir("/proc/self/fd")
                .ok()?
                .count()
                .saturating_sub(asking),
            // The task itself, and that of its connection.
            tasks: tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
                .saturating_sub(asking * 2),
        })
    }

    /// Panics if there is more than may have come since `before`, while so many orders and fills were recorded.
    pub fn assert_not_more_than(self, before: Self, records: u64) {
        assert!(
            self.memory <= before.memory + MEMORY_MARGIN + records * PER_RECORD,
            "memory: {before:?}, then {self:?} after {records} orders and fills"
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
