//! Decimal numbers compared and divided as they are written, never rounded to a binary float.
//!
//! 9007199254740993 is one more than 9007199254740992 and 0.30000000000000001 is more than 0.3, whatever a double makes
//! of them. Nothing here allocates, and effort is linear in the number's text.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// A number read from its JSON text: `0.DIGITS × 10^point`, digits without zeros at either end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    point: i64,
}

impl<'a> Decimal<'a> {
    /// The number of a text that follows JSON's grammar (`+` in front of an exponent is fine).
    pub(super) fn parse(text: &'a str) -> Self {
        let (negative, text) = match text.strip_prefix('-') {
            Some(text) => (true, text),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        Self::trimmed(negative, whole.as_bytes(), fraction.as_bytes(), exponent)
    }

    fn trimmed(negative: bool, whole: &'a [u8], fraction: &'a [u8], exponent: i64) -> Self {
        let mut whole = trim_start(whole);
        let mut point = exponent.saturating_add(length(whole));
        let mut fraction = trim_end(fraction);
        if whole.is_empty() {
            let trimmed = trim_start(fraction);
            point = point.saturating_sub(length(fraction) - length(trimmed));
            fraction = trimmed;
        } else if fraction.is_empty() {
            whole = trim_end(whole);
        }
        if whole.is_empty() && fraction.is_empty() {
            return Self { negative: false, whole, fraction, point: 0 };
        }
        Self { negative, whole, fraction, point }
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.whole.iter().chain(self.fraction).copied()
    }

    fn digit_count(&self) -> i64 {
        length(self.whole) + length(self.fraction)
    }

    fn is_zero(&self) -> bool {
        self.digit_count() == 0
    }

    /// True for a number without a fractional part, however it is written: `1.0`, `10e-1`.
    pub(super) fn is_integer(&self) -> bool {
        self.is_zero() || self.point >= self.digit_count()
    }

    /// True when the number is a whole multiple of `divisor`; false for a divisor of zero or one too long to divide by.
    pub(super) fn is_multiple_of(&self, divisor: &Decimal<'_>) -> bool {
        if self.is_zero() {
            return !divisor.is_zero();
        }
        // Both are integers times a power of ten, and neither integer ends in a zero. A power below one would have to
        // come out of this number's integer, which holds no ten.
        let power = (self.point - self.digit_count()) - (divisor.point - divisor.digit_count());
        let Some(modulus) = divisor.mantissa().filter(|modulus| *modulus != 0) else {
            return false;
        };
        if power < 0 {
            return false;
        }
        let modulus = u128::from(modulus);
        let digit = |byte: u8| u128::from(byte.wrapping_sub(b'0'));
        let rest = self.digits().fold(0, |rest, byte| (rest * 10 + digit(byte)) % modulus);
        (rest * power_of_ten(power.unsigned_abs(), modulus)).is_multiple_of(modulus)
    }

    fn mantissa(&self) -> Option<u64> {
        self.digits().try_fold(0_u64, |number, byte| {
            number.checked_mul(10)?.checked_add(u64::from(byte.wrapping_sub(b'0')))
        })
    }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.is_zero(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let by_sign = sign(self).cmp(&sign(other));
        if by_sign.is_ne() || self.is_zero() {
            return by_sign;
        }
        let size = self.point.cmp(&other.point).then_with(|| self.digits().cmp(other.digits()));
        if self.negative { size.reverse() } else { size }
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal<'_> {}

impl Hash for Decimal<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.negative.hash(state);
        self.point.hash(state);
        self.digits().for_each(|digit| state.write_u8(digit));
    }
}

fn length(digits: &[u8]) -> i64 {
    i64::try_from(digits.len()).unwrap_or(i64::MAX)
}

fn trim_start(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    digits.get(zeros..).unwrap_or_default()
}

fn trim_end(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    digits.get(..digits.len() - zeros).unwrap_or_default()
}

/// The exponent, far out of reach when it has more digits than count.
fn parse_exponent(text: &str) -> i64 {
    const FAR: i64 = 1 << 60;
    let negative = text.starts_with('-');
    let digits = text.trim_start_matches(['+', '-']).trim_start_matches('0');
    let size = match digits {
        "" => 0,
        digits => digits.parse().unwrap_or(FAR).min(FAR),
    };
    if negative { -size } else { size }
}

fn power_of_ten(mut power: u64, modulus: u128) -> u128 {
    let (mut base, mut result) = (10 % modulus, 1 % modulus);
    while power > 0 {
        if power & 1 == 1 {
            result = result * base % modulus;
        }
        base = base * base % modulus;
        power >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_their_decimal_value() {
        for (a, expected, b) in [
            ("1", Ordering::Equal, "1.0"),
            ("100", Ordering::Equal, "1e2"),
            ("0.001", Ordering::Equal, "1E-3"),
            ("-0", Ordering::Equal, "0.000e9"),
            ("9007199254740993", Ordering::Greater, "9007199254740992"),
            ("9007199254740993.0", Ordering::Greater, "9007199254740992"),
            ("0.30000000000000001", Ordering::Greater, "0.3"),
            ("18446744073709551617", Ordering::Greater, "18446744073709551615"),
            ("-2", Ordering::Less, "-1.5"),
            ("-1", Ordering::Less, "0"),
            ("1e-400", Ordering::Greater, "0"),
            ("1e400", Ordering::Greater, "1.7976931348623157e+308"),
            ("1e99999999999999999999", Ordering::Greater, "1e400"),
            ("12", Ordering::Less, "123"),
            ("102", Ordering::Greater, "10"),
            ("0.05", Ordering::Less, "0.5"),
        ] {
            assert_eq!(Decimal::parse(a).cmp(&Decimal::parse(b)), expected, "{a} {b}");
            assert_eq!(Decimal::parse(b).cmp(&Decimal::parse(a)), expected.reverse(), "{b} {a}");
        }
    }

    #[test]
    fn multiples_are_exact() {
        for (number, divisor, expected) in [
            ("10", "5", true),
            ("11", "5", false),
            ("0", "7", true),
            ("4.5", "1.5", true),
            ("0.0075", "0.0001", true),
            ("0.00751", "0.0001", false),
            ("19.99", "0.01", true),
            ("1e308", "0.123456789", false),
            ("9007199254740993", "2", false),
            ("9007199254740993", "3", true),
            ("123456789012345678901234567890", "10", true),
            ("123456789012345678901234567891", "10", false),
            ("-35", "7", true),
            ("1e400", "1e399", true),
            ("1e99999999999999999999", "7", false),
            ("3", "2.5", false),
            ("5", "0.025", true),
        ] {
            let multiple = Decimal::parse(number).is_multiple_of(&Decimal::parse(divisor));
            assert_eq!(multiple, expected, "{number} {divisor}");
        }
    }

    #[test]
    fn integers_are_integers_however_they_are_written() {
        for (text, expected) in [
            ("0", true),
            ("0.0", true),
            ("1.0", true),
            ("1.5", false),
            ("15e-1", false),
            ("150e-1", true),
            ("1.5e1", true),
            ("9007199254740993.5", false),
            ("1e400", true),
            ("1e-400", false),
        ] {
            assert_eq!(Decimal::parse(text).is_integer(), expected, "{text}");
        }
    }
}
