use std::sync::atomic::{AtomicU64, Ordering};

/// Upper bounds of the buckets in milliseconds, nginx's own resolution; the last bucket has none.
pub(super) const BOUNDS_MS: [u64; 14] =
    [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];
/// A series: what fell into each bucket alone, and the sum in milliseconds.
pub(super) const CELLS: usize = BOUNDS_MS.len() + 2;
/// Where the sum is.
pub(super) const SUM: usize = CELLS - 1;

/// Records a time in a histogram's series.
pub fn record_ms(cells: &[AtomicU64], time_ms: u64) {
    let bucket = BOUNDS_MS.partition_point(|bound| *bound < time_ms);
    if let (Some(bucket), Some(sum)) = (cells.get(bucket), cells.get(SUM)) {
        bucket.fetch_add(1, Ordering::Relaxed);
        sum.fetch_add(time_ms, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_into_the_first_bucket_whose_bound_it_does_not_exceed() {
        let cells: Vec<AtomicU64> = (0..CELLS).map(|_| AtomicU64::new(0)).collect();
        for time_ms in [0, 1, 2, 3, 30_000, 30_001] {
            record_ms(&cells, time_ms);
        }
        let numbers: Vec<u64> = cells.iter().map(|cell| cell.load(Ordering::Relaxed)).collect();
        assert_eq!(numbers, [2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 60_007]);
    }
}
