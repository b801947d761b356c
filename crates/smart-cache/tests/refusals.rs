//! What makes no sense is refused when it is compiled, with a message that says what to write.

#[test]
fn nonsense_is_refused_with_what_to_write() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
