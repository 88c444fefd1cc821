//! Who is registered as a miner, at which price, and who makes room in a full registry (finding: one account registered as many
//! miners as a chain holds, for next to nothing, and nobody else could come for ever).

use super::*;
use crate::chain::actors::market::MAX_MINERS;
use crate::chain::state::Miner;

fn create(collateral: AttoFil) -> Call {
    calls::create_storage_miner(SectorSize::S2KiB, b"peer", collateral)
}

impl World {
    fn register(&mut self, owner: &SecretKey, collateral: AttoFil) -> Address {
        let receipt = self.send(owner, create(collateral));
        calls::miner_address(&receipt).expect("there is room")
    }

    fn is_registered(&self, miner: &Address) -> bool {
        self.state.miners.contains_key(miner)
    }

    /// Registers penniless copies of a miner until nobody else finds a place.
    fn fill(&mut self, like: &Address, registered_at: u64) {
        let like = self.miner(like).clone();
        for number in self.state.miners.len()..MAX_MINERS {
            let miner = Miner {
                balance: AttoFil::ZERO,
                registered_at: Epoch(registered_at),
                ..like.clone()
            };
            let address = Address::actor(&key(7).address(), number as u64);
            self.state.miners.insert(address, miner);
        }
    }
}

#[test]
fn a_registration_brings_the_networks_collateral_along() {
    let mut world = World::new();
    world.state.policy = Policy::of_new_network(SectorSize::S2KiB);
    let (owner, least) = (world.owner.clone(), policy::MINER_COLLATERAL);
    let (code, text) = world.revert(&owner, create(AttoFil(least.0 - 1)));
    assert_eq!(code, exit::market::COLLATERAL_TOO_LOW);
    assert!(text.contains("at least 10 FIL"), "{text}");
    let miner = world.register(&owner, least);
    assert_eq!(world.miner(&miner).balance, least);
    world.state.policy = policy();
    world.register(&owner, AttoFil::ZERO);
}

#[test]
fn of_a_full_registry_the_oldest_miner_that_never_stored_makes_room_and_gets_its_collateral_back() {
    let (mut world, first) = World::with_miner();
    let (owner, stranger) = (world.owner.clone(), world.stranger.clone());
    assert_eq!(world.commit(&first, 0).exit_code, 0, "the oldest stores");
    let sealing = world.register(&owner, fil(1));
    world.height += 1;
    let oldest = world.register(&owner, fil(2));
    let registered = world.height;
    world.height += 1;
    let next = world.register(&owner, fil(3));
    world.fill(&next, world.height);
    world.height = registered + world.state.policy.newcomer_span();
    let pre_commit = world.pre_commit(&sealing, 0);
    assert!(world.send(&owner, pre_commit).is_ok());
    let before = world.balance(&owner);
    let came = world.register(&stranger, fil(1));
    assert!(!world.is_registered(&oldest));
    assert_eq!(world.balance(&owner), before + fil(2).0);
    for kept in [&first, &sealing, &next, &came] {
        assert!(world.is_registered(kept), "it stores, seals, is younger, or just came");
    }
    assert_eq!(world.state.miners.len(), MAX_MINERS);
    assert_eq!(world.revert(&owner, create(fil(1))).0, exit::market::TOO_MANY_MINERS);
}

#[test]
fn a_newcomer_has_the_time_that_its_first_seal_takes() {
    let (mut world, miner) = World::with_miner();
    let stranger = world.stranger.clone();
    world.fill(&miner, world.height);
    let span = world.state.policy.newcomer_span();
    assert_eq!(span, world.state.policy.max_ticket_age);
    world.height += span - 1;
    let (code, text) = world.revert(&stranger, create(fil(1)));
    assert_eq!(code, exit::market::TOO_MANY_MINERS);
    assert!(text.contains("less than 2000 blocks ago"), "{text}");
    world.height += 1;
    world.register(&stranger, fil(1));
}

/// Every node must take the same one.
#[test]
fn of_miners_that_were_registered_at_one_height_that_of_the_lowest_address_makes_room() {
    let (mut world, miner) = World::with_miner();
    let stranger = world.stranger.clone();
    world.fill(&miner, world.height);
    let lowest = world.state.miners.keys().next().cloned().expect("there are some");
    world.height += world.state.policy.newcomer_span();
    world.register(&stranger, fil(1));
    assert!(!world.is_registered(&lowest));
}

#[test]
fn a_miner_whose_sectors_are_gone_keeps_its_place() {
    let (mut world, miner) = World::with_sectors(1);
    let span = world.state.policy.newcomer_span();
    let policy = world.state.policy.clone();
    let gone = world.state.miners.get_mut(&miner).expect("it is there");
    gone.sectors.clear();
    assert!(!gone.makes_room(&policy, Epoch(world.height + span)));
    gone.proving_period_end = None;
    assert!(gone.makes_room(&policy, Epoch(world.height + span)));
}
