//! Frames of all protocols, and the transfer's requests and answers: whatever is read is written the same.
#![no_main]

use shared::transfer::{Request, Response};
use shared::wire::frame::{frame, next_frame, MAX_MESSAGE};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Ok(Some(body)) = next_frame(input, MAX_MESSAGE) {
        let end = body.end;
        let again = frame(&input[body], MAX_MESSAGE).expect("it was a frame");
        assert_eq!(again, &input[..end]);
    }
    let mut buffer = input.to_vec();
    while let Ok(Some(request)) = Request::take(&mut buffer) {
        let mut again = request.to_frame().expect("it was read");
        assert_eq!(Request::take(&mut again), Ok(Some(request)));
    }
    let mut buffer = input.to_vec();
    while let Ok(Some(response)) = Response::take(&mut buffer) {
        let mut again = response.to_frame().expect("it was read");
        assert_eq!(Response::take(&mut again), Ok(Some(response)));
    }
});
