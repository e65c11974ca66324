//! Watches masters, plans, submits and confirms batches.
