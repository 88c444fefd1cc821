/** What is proven about sectors, as the chain has it, and what checking it came to. Bytes are hexadecimal. */

/** “This replica encodes this data”: what a seal's proof claims. */
export interface SealClaim {
  /** Bytes of the sector. */
  readonly sectorSize: number;
  readonly commR: string;
  readonly commD: string;
  /** The payload of the miner's address, filled up with zeros to 32 bytes. */
  readonly proverId: string;
  /** The sector's number, as decimal text: it may be above 2^53. */
  readonly sector: string;
  readonly ticket: string;
  readonly seed: string;
  /** 192 bytes for each partition. */
  readonly proof: string;
}

/** “I store all these replicas”: what a proof-of-spacetime claims. */
export interface WindowPoStClaim {
  /** Bytes of each sector. */
  readonly sectorSize: number;
  readonly proverId: string;
  readonly randomness: string;
  /** Number, as decimal text, and CommR of each sector, ascending by number. */
  readonly sectors: readonly (readonly [sector: string, commR: string])[];
  /** 192 bytes for each partition. */
  readonly proof: string;
}

/** A proof that may be checked; or why it cannot be, so that it is no more than what the chain claims. */
export type Gathered<Claim> =
  | { readonly claim: Claim; readonly missing?: never }
  | { readonly claim?: never; readonly missing: string };

/** A proof-of-spacetime that covers a deal's sector. */
export type PostEvidence = Gathered<WindowPoStClaim> & {
  /** Its message. */
  readonly message: string;
  /** Height of its block. */
  readonly height: number;
};

/** The proofs of a deal's sector on the chain. */
export interface ProofEvidence {
  readonly seal: Gathered<SealClaim>;
  /** Newest first; the last eight. */
  readonly posts: readonly PostEvidence[];
}

/** What came of a proof. */
export type ProofVerdict =
  /** It proves the claim: checked in so many milliseconds, under the verifying key with this SHA-256. */
  | { readonly state: 'holds'; readonly milliseconds: number; readonly key: string }
  /** It does not, and why. */
  | { readonly state: 'fails'; readonly milliseconds: number; readonly detail: string }
  /** It could not be checked, and why. */
  | { readonly state: 'unchecked'; readonly detail: string };
