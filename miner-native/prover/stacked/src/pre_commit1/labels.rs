//! Labels of all layers, node by node.
//!
//! A label needs the one before, so a sector's labels are one chain, on one thread, as fast as one hash can follow another. What
//! other threads can do meanwhile is to bring the layer before to the disk.

use super::files::MappedNodes;
use super::parents::{ParentCache, BLOCK};
use super::{check_stop, Error};
use crate::sha256::{Lane, Node, Sha256, Sha256Kernel};
use sha2::Digest;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::thread::{self, ScopedJoinHandle};

/// Sectors that are labelled together at most: more do not share a processor's units better (see `sha256/sha_ni.rs`).
const TOGETHER: usize = 4;

/// What to label.
#[derive(Debug)]
pub(super) struct Chain {
    pub replica_id: Node,
    /// Where each layer goes.
    pub layers: Vec<PathBuf>,
    /// Whether only the last layer is wanted; the others then never get their names, and are removed when they are not needed.
    pub last_only: bool,
}

/// What belongs to all chains of a run.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub kernel: Sha256Kernel,
    pub parents: &'a ParentCache,
    pub nodes: u32,
    pub stop: &'a AtomicBool,
    /// Gets the number of labels that are done.
    pub progress: &'a (dyn Fn(u64) + Sync),
}

/// Labels of all chains.
pub(super) fn total(nodes: u32, chains: &[Chain]) -> u64 {
    chains.iter().map(|chain| chain.layers.len() as u64).sum::<u64>() * u64::from(nodes)
}

/// Labels all layers of every chain, up to [`TOGETHER`] chains at once. All have the same graph and number of layers.
pub(super) fn label(run: &Run<'_>, chains: &[Chain]) -> Result<(), Error> {
    let (mut left, mut done) = (chains, 0);
    while !left.is_empty() {
        let progress = |here| (run.progress)(done + here);
        let run = Run {
            progress: &progress,
            ..*run
        };
        let together = match left.len() {
            TOGETHER.. => label_together::<TOGETHER>(&run, left)?,
            2.. => label_together::<2>(&run, left)?,
            _ => label_together::<1>(&run, left)?,
        };
        let (labelled, rest) = left.split_at(together);
        done += total(run.nodes, labelled);
        left = rest;
    }
    Ok(())
}

/// Labels the first `N` chains; returns `N`.
fn label_together<const N: usize>(run: &Run<'_>, chains: &[Chain]) -> Result<usize, Error> {
    let chains = &chains[..N];
    thread::scope(|scope| {
        let mut previous: Option<[Arc<MappedNodes>; N]> = None;
        let mut publishing: Option<ScopedJoinHandle<'_, Result<(), Error>>> = None;
        let layers = chains[0].layers.len();
        for layer in 1..=layers {
            let before = previous.as_ref().map(|files| files.each_ref().map(|file| &**file));
            let current = label_layer(run, chains, layer, before)?;
            join(publishing.take())?;
            let files = current.clone();
            publishing = Some(scope.spawn(move || {
                let mut each = files.iter().zip(chains);
                each.try_for_each(|(file, chain)| match chain.last_only {
                    false => file.sync().and_then(|()| file.publish()),
                    true if layer == layers => file.publish(),
                    true => file.discard(),
                })
            }));
            previous = Some(current);
        }
        join(publishing)
    })?;
    Ok(N)
}

fn join(publishing: Option<ScopedJoinHandle<'_, Result<(), Error>>>) -> Result<(), Error> {
    publishing.map_or(Ok(()), |thread| {
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// One layer of `N` chains, from the layer before, if there is one.
fn label_layer<const N: usize>(
    run: &Run<'_>,
    chains: &[Chain],
    layer: usize,
    previous: Option<[&MappedNodes; N]>,
) -> Result<[Arc<MappedNodes>; N], Error> {
    let create = |chain: &Chain| MappedNodes::create(chain.layers[layer - 1].clone(), run.nodes as usize);
    let mut files = chains.iter().map(create).collect::<Result<Vec<_>, _>>()?;
    let number = layer as u32;
    let mut open = files.iter_mut().zip(chains);
    let mut lanes: [Lane<'_>; N] = std::array::from_fn(|at| {
        let (file, chain) = open.next().expect("one file for each of N chains");
        Lane {
            replica_id: chain.replica_id,
            labels: file.nodes_mut(),
            previous: previous.as_ref().map_or(&[], |layers| layers[at].nodes()),
        }
    });
    let (mut bytes, mut parents) = (vec![], vec![]);
    for first in (0..run.nodes).step_by(BLOCK as usize) {
        check_stop(run.stop)?;
        run.parents.read(first, &mut bytes, &mut parents)?;
        if first == 0 {
            lanes
                .iter_mut()
                .for_each(|lane| lane.labels[0] = first_label(&lane.replica_id, number));
            run.kernel.label(&mut lanes, number, 1, &parents[1..]);
        } else {
            run.kernel.label(&mut lanes, number, first, &parents);
        }
        let done = (layer as u64 - 1) * u64::from(run.nodes) + u64::from(first) + parents.len() as u64;
        (run.progress)(N as u64 * done);
    }
    let mut files = files.into_iter().map(Arc::new);
    Ok(std::array::from_fn(|_| {
        files.next().expect("one file for each of N chains")
    }))
}

/// The label of node 0, which has no parents.
fn first_label(replica_id: &Node, layer: u32) -> Node {
    let hash = sha2::Sha256::new()
        .chain_update(replica_id)
        .chain_update(layer.to_be_bytes());
    let mut label: Node = hash.chain_update([0; 28]).finalize().into();
    label[31] &= 0x3f;
    label
}
