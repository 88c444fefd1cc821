/** What the browser says of the page: where it comes from, which transports there are, what it may reach. */

import type { OptionalTransport } from './types.js';

/** As the Rust module reads it (`src/surroundings.rs`). */
export interface Surroundings {
  readonly origin: string;
  readonly isSecure: boolean;
  readonly hasWebTransport: boolean;
  readonly hasWebRtc: boolean;
  /** Whether devices of the local network may be reached, and whether this one. */
  readonly localNetwork: PermissionState;
  readonly loopback: PermissionState;
}

/** The permission's names in Chromium, the newest first: one for both at first, then two. */
const LOCAL_NETWORK = ['local-network', 'local-network-access'];
const LOOPBACK = ['loopback-network', 'local-network-access'];

/** What the user has said to the first of these questions that the browser knows; those that know none do not ask. */
async function permission(names: readonly string[]): Promise<PermissionState> {
  for (const name of names) {
    try {
      // The names are newer than TypeScript's list.
      const { state } = await navigator.permissions.query({ name: name as PermissionName });
      return state;
    } catch {
      // Not known here.
    }
  }
  return 'granted';
}

/** What of it may be used. */
export interface Transports {
  /** Whether the window can make peer connections; this worker knows data channels where they can be handed over to it. */
  readonly hasPeers: boolean;
  /** Those that the client was told to use; all where it was told of none. */
  readonly transports: readonly OptionalTransport[] | undefined;
}

/** What can be said now. */
export async function surroundings({ hasPeers, transports }: Transports): Promise<Surroundings> {
  const may = (transport: OptionalTransport): boolean => transports?.includes(transport) ?? true;
  const [localNetwork, loopback] = await Promise.all([permission(LOCAL_NETWORK), permission(LOOPBACK)]);
  return {
    origin: self.origin,
    isSecure: self.isSecureContext,
    hasWebTransport: may('web-transport') && 'WebTransport' in self,
    hasWebRtc: may('web-rtc-direct') && hasPeers && 'RTCDataChannel' in self,
    localNetwork,
    loopback,
  };
}
