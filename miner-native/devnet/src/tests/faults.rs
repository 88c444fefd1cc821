//! What the disk and the process run out of: the chain waits, tells, and goes on by itself.

use super::*;
use sealdrop_database::testing::{alone, exhaust_files, small_disk};

#[test]
fn blocks_are_made_again_when_a_full_disk_has_room() {
    let Some(disk) = small_disk() else { return };
    let devnet = Devnet::open(config(disk.path())).unwrap();
    for number in 1..3 {
        fund(&devnet, &key(number));
        let path = disk.fill();
        // What the log holds already is written over before it grows.
        let error = (0..10_000).find_map(|_| devnet.produce_block().err());
        assert!(matches!(error, Some(DevnetError::Store(_))), "{error:?}");
        let head = devnet.head();
        assert!(devnet.produce_block().is_err());
        assert_eq!(devnet.head(), head, "nothing is shown that is not on the disk");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(produce(&devnet).height, head.height.plus(1));
    }
    let head = devnet.head();
    drop(devnet);
    assert_eq!(Devnet::open(config(disk.path())).unwrap().head(), head);
}

#[test]
fn blocks_are_made_while_no_file_can_be_opened() {
    const VARIABLE: &str = "SEALDROP_TEST_CHAIN_WITHOUT_FILES";
    if std::env::var_os(VARIABLE).is_none() {
        return alone("tests::faults::blocks_are_made_while_no_file_can_be_opened", VARIABLE);
    }
    let (_dir, devnet) = chain();
    let _files = exhaust_files();
    for number in 1..=50 {
        fund(&devnet, &key(number));
    }
    assert_eq!(devnet.head().height, Epoch(50));
}
