//! Limits for JSON that is forwarded to a plugin, whose parser may be weaker than this crate's.

use std::fmt;

/// The most that a plugin's parser is given. The defaults are below the limits of Python's `json` with its default
/// recursion limit, and of its `int`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JsonLimits {
    /// Levels of nested arrays and objects.
    pub(crate) depth: usize,
    /// Consecutive digits of a number.
    pub(crate) digits: usize,
}

/// Which limit a text exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exceeds {
    Depth(usize),
    Digits(usize),
}

impl fmt::Display for Exceeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exceeds::Depth(limit) => write!(f, "JSON nested deeper than {limit} levels"),
            Exceeds::Digits(limit) => write!(f, "a number with more than {limit} consecutive digits"),
        }
    }
}

impl JsonLimits {
    /// Checks valid JSON.
    ///
    /// # Errors
    /// It exceeds a limit.
    pub(crate) fn check(&self, json: &str) -> Result<(), Exceeds> {
        let bytes = json.as_bytes();
        if self.may_be_too_deep(bytes) || self.may_have_too_many_digits(bytes) { self.scan(bytes) } else { Ok(()) }
    }

    /// A branch-free loop, which compilers vectorize.
    fn may_be_too_deep(&self, bytes: &[u8]) -> bool {
        let opens = |bytes: &[u8]| bytes.iter().map(|byte| u8::from(byte | 0x20 == b'{')).sum::<u8>();
        // No sum of 255 bytes overflows.
        bytes.len() > self.depth && bytes.chunks(255).map(|part| usize::from(opens(part))).sum::<usize>() > self.depth
    }

    /// A run of more than `digits` covers two adjacent samples.
    fn may_have_too_many_digits(&self, bytes: &[u8]) -> bool {
        let mut before = false;
        bytes.iter().step_by((self.digits / 2).max(1)).any(|byte| {
            let digit = byte.is_ascii_digit();
            std::mem::replace(&mut before, digit) && digit
        })
    }

    #[cold]
    fn scan(&self, bytes: &[u8]) -> Result<(), Exceeds> {
        let (mut depth, mut digits, mut in_string, mut escaped) = (0_usize, 0_usize, false, false);
        for byte in bytes {
            if in_string {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'"' => in_string = false,
                    _ => {}
                }
                continue;
            }
            digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
            match byte {
                b'"' => in_string = true,
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > self.depth {
                return Err(Exceeds::Depth(self.depth));
            }
            if digits > self.digits {
                return Err(Exceeds::Digits(self.digits));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: JsonLimits = JsonLimits { depth: 100, digits: 100 };

    fn nested(depth: usize, inner: &str) -> String {
        format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn nesting_is_limited() {
        LIMITS.check(&nested(100, "1")).unwrap();
        assert_eq!(LIMITS.check(&nested(101, "1")), Err(Exceeds::Depth(100)));
        let objects = r#"{"a":"#.repeat(101) + "1" + &"}".repeat(101);
        assert_eq!(LIMITS.check(&objects), Err(Exceeds::Depth(100)));
        LIMITS.check(&format!("[{}]", vec!["[]"; 1000].join(","))).unwrap();
        LIMITS.check(&format!(r#"["\"{}"]"#, "[".repeat(1000))).unwrap();
    }

    #[test]
    fn runs_of_digits_are_limited_wherever_they_begin() {
        for offset in 0..120 {
            let before = " ".repeat(offset);
            LIMITS.check(&format!("{before}[{}]", "1".repeat(100))).unwrap();
            for number in
                [format!("-{}", "1".repeat(101)), format!("0.{}", "0".repeat(101)), format!("1e{}", "9".repeat(101))]
            {
                assert_eq!(
                    LIMITS.check(&format!("{before}[{number}]")),
                    Err(Exceeds::Digits(100)),
                    "{offset} {number}"
                );
            }
        }
        LIMITS.check(&format!("\"{}\"", "1".repeat(1000))).unwrap();
    }
}
