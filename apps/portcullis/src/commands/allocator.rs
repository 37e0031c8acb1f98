//! The allocator: mimalloc, because calls on several threads wait for each other in the C library's
//! (docs/decisions/0012-lanes.md).

use std::time::Duration;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// For so long mimalloc keeps what was freed for what may come: 10 ms, and some for clocks.
const KEPT: Duration = Duration::from_millis(30);
/// More than anything that is kept for the next of its size.
const LARGE: usize = 1 << 20;

/// Gives back to the system what this thread has freed. mimalloc does it when something is freed that was taken a while
/// ago, and after a start, which frees much, nothing is for long.
pub(crate) async fn give_back() {
    let large = std::hint::black_box(Vec::<u8>::with_capacity(LARGE));
    tokio::time::sleep(KEPT).await;
    drop(large);
}
