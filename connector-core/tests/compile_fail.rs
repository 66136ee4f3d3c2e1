//! Compiler errors for common mistakes.

#[rustversion::attr(not(stable(1.95)), ignore = "compilers word it differently: these are the words of Rust 1.95")]
#[test]
fn common_mistakes_have_helpful_errors() {
    trybuild::TestCases::new().compile_fail("tests/compile-fail/*.rs");
}
