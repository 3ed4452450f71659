use std::cell::Cell;

use super::*;

const SEED: Seed = Seed([7, 9]);
const NOW_MS: u64 = 1_795_430_430_000; // 2026-11-23T10:40:30Z
const MINUTE_END_MS: u64 = 1_795_430_460_000;

fn words(bytes: usize) -> Vec<AtomicU64> {
    (0..bytes / 8).map(|_| AtomicU64::new(0)).collect()
}

fn table(words: &[AtomicU64]) -> Table<'_> {
    Table::attach(words, SEED).unwrap().0
}

fn key(number: u64) -> Fingerprint {
    Fingerprint(u128::from(mix(number)) << 64 | u128::from(mix(number ^ 0x5555)))
}

/// Adds to a counter as a fixed one; `false` when the table is full.
fn add(table: &Table<'_>, key: Fingerprint, unit: Unit, kind: WindowKind, now_ms: u64) -> bool {
    let (slot, mut count) = table.find(key, unit, now_ms);
    let Some(slot) = slot.or_else(|| table.insert(key, unit, now_ms)) else {
        return false;
    };
    count.current += 1;
    table.write(slot, unit, kind, count);
    true
}

fn current(table: &Table<'_>, key: Fingerprint, unit: Unit, now_ms: u64) -> (u64, u64) {
    let (_, count) = table.find(key, unit, now_ms);
    (count.current, count.previous)
}

#[test]
fn counters_survive_another_attach_and_start_afresh_on_another_layout_or_size() {
    let words = words(64 * 1024);
    let (table, attached) = Table::attach(&words, SEED).unwrap();
    assert_eq!(attached, Attached::Fresh(FreshReason::New));
    add(&table, key(1), Unit::Day, WindowKind::Fixed, NOW_MS);

    let (table, attached) = Table::attach(&words, Seed([1, 1])).unwrap();
    assert_eq!((attached, table.seed()), (Attached::Kept, SEED));
    assert_eq!(current(&table, key(1), Unit::Day, NOW_MS), (1, 0));

    let (table, attached) = Table::attach(&words[..6_000], Seed([1, 1])).unwrap();
    assert_eq!((attached, table.seed()), (Attached::Fresh(FreshReason::Size), Seed([1, 1])));
    assert_eq!(current(&table, key(1), Unit::Day, NOW_MS), (0, 0));

    words[0].store(LAYOUT + 1, Relaxed);
    let (table, attached) = Table::attach(&words, SEED).unwrap();
    assert_eq!(attached, Attached::Fresh(FreshReason::Layout));
    assert_eq!(table.stats(), TableStats { occupied: 0, capacity: 2_040, full: 0 });
    assert_eq!(Table::attach(&words[..8], SEED).unwrap_err(), TooSmall);
}

#[test]
fn a_counter_rolls_into_the_next_window_and_forgets_after_that() {
    let words = words(64 * 1024);
    let table = table(&words);
    for _ in 0..3 {
        add(&table, key(1), Unit::Minute, WindowKind::Sliding, NOW_MS);
    }
    assert_eq!(current(&table, key(1), Unit::Minute, MINUTE_END_MS - 1), (3, 0));
    assert_eq!(current(&table, key(1), Unit::Minute, MINUTE_END_MS), (0, 3));
    assert_eq!(current(&table, key(1), Unit::Minute, MINUTE_END_MS + 60_000), (0, 0));
    add(&table, key(1), Unit::Minute, WindowKind::Sliding, MINUTE_END_MS);
    assert_eq!(current(&table, key(1), Unit::Minute, MINUTE_END_MS + 10), (1, 3));
    assert_eq!(current(&table, key(1), Unit::Hour, NOW_MS), (0, 0));
    assert_eq!(current(&table, key(2), Unit::Minute, NOW_MS), (0, 0));
}

#[test]
fn a_worker_whose_clock_lags_counts_in_the_window_that_is_open_already() {
    let words = words(64 * 1024);
    let table = table(&words);
    add(&table, key(1), Unit::Minute, WindowKind::Fixed, MINUTE_END_MS + 1);
    add(&table, key(1), Unit::Minute, WindowKind::Fixed, MINUTE_END_MS - 2);
    assert_eq!(current(&table, key(1), Unit::Minute, MINUTE_END_MS + 1), (2, 0));
}

#[test]
fn a_clock_that_was_set_back_does_not_lock_a_counter() {
    let words = words(64 * 1024);
    let table = table(&words);
    add(&table, key(1), Unit::Day, WindowKind::Fixed, NOW_MS + 90 * 86_400_000);
    assert_eq!(current(&table, key(1), Unit::Day, NOW_MS), (0, 0));
    add(&table, key(1), Unit::Day, WindowKind::Fixed, NOW_MS);
    assert_eq!(current(&table, key(1), Unit::Day, NOW_MS), (1, 0));
}

#[test]
fn counts_stop_at_their_width() {
    let words = words(64 * 1024);
    let table = table(&words);
    add(&table, key(1), Unit::Year, WindowKind::Sliding, NOW_MS);
    let (slot, mut count) = table.find(key(1), Unit::Year, NOW_MS);
    count.current = u64::MAX;
    table.write(slot.unwrap(), Unit::Year, WindowKind::Sliding, count);
    assert_eq!(current(&table, key(1), Unit::Year, NOW_MS), (MAX_COUNT, 0));
    // The lifetime beside it is intact: two years, of which 2027 has begun.
    assert_eq!(current(&table, key(1), Unit::Year, 1_798_761_600_000), (0, MAX_COUNT));
    table.sweep(usize::MAX, 1_798_761_600_000);
    assert_eq!(table.stats().occupied, 1);
    table.sweep(usize::MAX, 1_830_297_600_000);
    assert_eq!(table.stats().occupied, 0);
}

#[test]
fn lifetimes_are_exact() {
    for lifetime_s in [1, 2, 59, 60, 61, 120, 604_800, 2_678_400, 63_158_400] {
        let word = lifetime_bits(lifetime_s) | 5;
        assert_eq!((lifetime_of(word), word & MAX_COUNT), (lifetime_s, 5));
    }
}

#[test]
fn a_full_table_refuses_new_keys_counts_them_and_keeps_every_live_counter() {
    let words = words(32 * 1024);
    let table = table(&words);
    let taken: Vec<u64> = (0..3_000)
        .filter(|number| add(&table, key(*number), Unit::Minute, WindowKind::Fixed, NOW_MS))
        .collect();
    let stats = table.stats();
    assert_eq!(stats.capacity, 1_016);
    assert_eq!(stats.occupied, taken.len() as u64);
    assert_eq!(stats.full, 3_000 - taken.len() as u64);
    assert!(taken.len() >= 1_000, "{}", taken.len());
    for number in &taken {
        assert_eq!(current(&table, key(*number), Unit::Minute, NOW_MS), (1, 0));
    }
    // Once their minute is over, the same number of other keys fits in.
    let later_ms = MINUTE_END_MS;
    for number in 10_000..10_900 {
        assert!(add(&table, key(number), Unit::Minute, WindowKind::Fixed, later_ms));
    }
    assert_eq!(table.stats().full, stats.full);
}

#[test]
fn insertions_sweep_what_is_over() {
    let words = words(32 * 1024);
    let table = table(&words);
    for number in 0..800 {
        add(&table, key(number), Unit::Second, WindowKind::Fixed, NOW_MS);
    }
    assert_eq!(table.stats().occupied, 800);
    for number in 1_000..1_127 {
        add(&table, key(number), Unit::Second, WindowKind::Fixed, NOW_MS + 1_000);
    }
    assert_eq!(table.stats().occupied, 127);
}

#[test]
fn a_mebibyte_holds_the_promised_number_of_counters() {
    for mib in [1, 8] {
        let words = words(mib << 20);
        let table = table(&words);
        for number in 0..(mib * COUNTERS_PER_MIB) as u64 {
            add(&table, key(number), Unit::Day, WindowKind::Fixed, NOW_MS);
        }
        assert_eq!(table.stats().full, 0, "{mib} MiB");
    }
    assert_eq!(zone_bytes_for(1_000_000), 35 << 20);
}

thread_local! {
    static STORES_LEFT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// False once the stores that `killed_after` allows are used up.
pub(super) fn is_alive() -> bool {
    STORES_LEFT.with(|left| match left.get() {
        None => true,
        Some(0) => false,
        Some(number) => {
            left.set(Some(number - 1));
            true
        }
    })
}

/// A copy of the words on which a process was killed after so many stores of an act.
fn killed_after(stores: usize, before: &[AtomicU64], act: impl Fn(&[AtomicU64])) -> Vec<AtomicU64> {
    let copy: Vec<_> = before.iter().map(|word| AtomicU64::new(word.load(Relaxed))).collect();
    STORES_LEFT.set(Some(stores));
    act(&copy);
    STORES_LEFT.set(None);
    copy
}

#[test]
fn a_kill_between_any_two_stores_of_an_insertion_leaves_a_usable_slot() {
    let words = words(32 * 1024);
    let before = table(&words);
    // What an earlier owner left in both buckets must not show through.
    let full: Vec<u64> = (0..3_000)
        .filter(|number| add(&before, key(*number), Unit::Second, WindowKind::Sliding, NOW_MS))
        .collect();
    assert!(full.len() > 1_000);
    let later_ms = NOW_MS + 60_000;
    let act = |words: &[AtomicU64]| {
        add(&Table::view(words).unwrap(), key(9_999), Unit::Day, WindowKind::Sliding, later_ms);
    };
    for stores in 0..16 {
        let words = killed_after(stores, &words, act);
        let table = Table::view(&words).unwrap();
        let (count, previous) = current(&table, key(9_999), Unit::Day, later_ms);
        assert!(count <= 1 && previous == 0, "{stores}: {count} {previous}");
        assert!(add(&table, key(9_999), Unit::Day, WindowKind::Sliding, later_ms), "{stores}");
        assert_eq!(current(&table, key(9_999), Unit::Day, later_ms).0, count + 1, "{stores}");
        table.sweep(usize::MAX, later_ms + 3 * 86_400_000);
        assert!(table.stats().occupied <= 1, "{stores}");
        assert_eq!((0..1_016).filter(|entry| table.load(*entry, E_TAG) != 0).count(), 0);
    }
}

#[test]
fn a_kill_between_any_two_stores_of_a_rollover_never_counts_too_much() {
    let words = words(32 * 1024);
    let before = table(&words);
    for _ in 0..5 {
        add(&before, key(1), Unit::Minute, WindowKind::Sliding, NOW_MS);
    }
    let act = |words: &[AtomicU64]| {
        add(&Table::view(words).unwrap(), key(1), Unit::Minute, WindowKind::Sliding, MINUTE_END_MS);
    };
    let mut seen = Vec::new();
    for stores in 0..5 {
        let words = killed_after(stores, &words, act);
        seen.push(current(&Table::view(&words).unwrap(), key(1), Unit::Minute, MINUTE_END_MS));
    }
    assert_eq!(seen, [(0, 5), (0, 5), (0, 0), (0, 5), (1, 5)]);
}

#[test]
fn a_kill_while_a_zone_is_made_makes_the_next_process_begin_again() {
    let words = words(32 * 1024);
    let before = table(&words);
    add(&before, key(1), Unit::Day, WindowKind::Fixed, NOW_MS);
    put(&words[H_LAYOUT], LAYOUT + 1);
    let act = |words: &[AtomicU64]| {
        let _ = Table::attach(words, SEED);
    };
    let all = words.len() + 4; // every word, and the header
    for stores in (0..20).chain(all - 6..=all) {
        let words = killed_after(stores, &words, act);
        let (table, attached) = Table::attach(&words, Seed([3, 3])).unwrap();
        assert_eq!(attached == Attached::Kept, stores == all, "{stores}");
        assert_eq!(table.seed(), if stores == all { SEED } else { Seed([3, 3]) });
        assert_eq!(current(&table, key(1), Unit::Day, NOW_MS), (0, 0));
    }
}
