//! One base tree: leaves from wherever they come, eight to a parent, rows to their places in a file.
//!
//! A job takes some thousand leaves and the three rows above them while they are in the cache, and writes what is kept. The
//! row on top of the jobs stays in memory (an 8 MiB row in a 32 GiB sector's tree), and so do those above it.

use super::files::Open;
use super::layout::{Layout, ARITY};
use super::progress::Progress;
use super::{Error, NODE};
use rayon::prelude::*;
use sealdrop_poseidon::{Arity, Kernel, Poseidon};

/// Leaves of a job: its three rows end in 16 nodes, a full group of the lanes, and fill 256 KiB.
const JOB_LEAVES: usize = 8192;
/// Rows above the leaves in a job.
const JOB_ROWS: usize = 3;
/// Parents of a piece of work in the rows above the jobs.
const ROW_PIECE: usize = 1024;

/// Where a tree's leaves come from.
pub(super) trait Leaves: Sync {
    /// What a thread needs besides the leaves' place.
    type Scratch: Send;
    fn scratch(&self) -> Self::Scratch;
    /// Computes leaves of the sector from node `first` on.
    fn fill(&self, first: usize, leaves: &mut [u8], scratch: &mut Self::Scratch) -> Result<(), Error>;
    /// How much work a leaf is, its share of the tree above included, in [`Progress`]'s units.
    fn cost(&self) -> u64;
}

/// A base tree to be built.
pub(super) struct BaseTree<'a> {
    pub layout: &'a Layout,
    /// Which of the sector's base trees.
    pub index: usize,
    pub file: &'a Open,
    /// The lowest row that the file holds; the leaves are row 0.
    pub lowest: usize,
    pub kernel: Kernel,
}

impl BaseTree<'_> {
    /// Builds the tree and returns its root. The file is not synced.
    pub fn build<L: Leaves>(&self, leaves: &L, progress: &Progress<'_>) -> Result<[u8; NODE], Error> {
        let count = self.layout.leaves();
        let (job_leaves, job_rows) = match count / JOB_LEAVES {
            0 => (count, self.layout.rows() - 1),
            _ => (JOB_LEAVES, JOB_ROWS),
        };
        let mut row = vec![0; (count >> (3 * job_rows)) * NODE];
        let of_job = row.par_chunks_mut((job_leaves >> (3 * job_rows)) * NODE);
        of_job.enumerate().try_for_each_init(
            || (vec![vec![0; job_leaves * NODE]], leaves.scratch()),
            |(rows, scratch), (job, top)| -> Result<(), Error> {
                progress.check()?;
                leaves.fill(self.index * count + job * job_leaves, &mut rows[0], scratch)?;
                self.build_job(job * job_leaves, rows, top)?;
                progress.advance(job_leaves as u64 * leaves.cost());
                Ok(())
            },
        )?;
        self.write(job_rows, 0, &row)?;
        for height in job_rows + 1..self.layout.rows() {
            progress.check()?;
            let mut above = vec![0; row.len() / ARITY];
            let pieces = above
                .par_chunks_mut(ROW_PIECE * NODE)
                .zip(row.par_chunks(ARITY * ROW_PIECE * NODE));
            pieces.try_for_each(|(above, row)| self.hash(row, above))?;
            row = above;
            self.write(height, 0, &row)?;
        }
        Ok(*row.first_chunk().expect("the row of a tree's root is one node"))
    }

    /// The rows above a job's leaves; the last goes to `top`. `rows` holds the leaves, and room for the others after the first
    /// call.
    fn build_job(&self, first_leaf: usize, rows: &mut Vec<Vec<u8>>, top: &mut [u8]) -> Result<(), Error> {
        let mut height = 0;
        loop {
            self.write(height, first_leaf >> (3 * height), &rows[height])?;
            let parents = rows[height].len() / ARITY;
            if parents == top.len() {
                return self.hash(&rows[height], top);
            }
            if rows.len() == height + 1 {
                rows.push(vec![0; parents]);
            }
            let (below, above) = rows.split_at_mut(height + 1);
            self.hash(&below[height], &mut above[0])?;
            height += 1;
        }
    }

    fn hash(&self, nodes: &[u8], parents: &mut [u8]) -> Result<(), Error> {
        Ok(Poseidon::of(Arity::Eight).hash_nodes(self.kernel, nodes, parents)?)
    }

    /// Writes nodes of row `height`, if the file holds it.
    fn write(&self, height: usize, first: usize, nodes: &[u8]) -> Result<(), Error> {
        if height < self.lowest {
            return Ok(());
        }
        let below = self.layout.nodes_from_row(self.lowest) - self.layout.nodes_from_row(height);
        self.file.write(below + first, nodes)
    }
}
