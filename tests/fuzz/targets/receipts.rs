//! Receipts from anybody: what is read is written the same, and whatever it says, all fifteen steps get a standing.
#![no_main]

use shared::client::passport::{testing::verdicts, Inspection, PassportView, Receipt, Viewpoint};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(receipt) = Receipt::read(input) else { return };
    assert_eq!(receipt.to_bytes(), input);
    let Ok(inspection) = Inspection::open(&receipt) else { return };
    let verdicts = verdicts(&inspection.claims());
    for own in [false, true] {
        let view = Viewpoint { own, ..Viewpoint::default() };
        let passport = inspection.judge(&verdicts, &view);
        let shown = PassportView::of(passport, &inspection, &verdicts);
        assert_eq!(shown.steps.len(), 15);
    }
});
