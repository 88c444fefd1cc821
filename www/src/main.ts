// The Sealdrop page. Drawn by lit; everything about deals is done by the npm package `sealdrop-client`.
//
// Hooks for tests (data-testid): head · file-input · piece-commp · miner-card · miner-choice · duration-choice ·
// price · balance · faucet-button · store-button · problem (data-code: the error's code) · deal-item (data-step,
// data-state) · deal-id (data-deal-cid) · deal-state (text: the step's name, or `failed`; data-step: the step;
// data-state: working, complete or failed) · step (data-step, data-status: done, now, later or failed) ·
// proof-count · verify-button · verdict (data-state) · check (data-check: inclusion, commitMessage, commitments or
// proven; data-ok; data-state: holds, pending, over or fails) · check-proofs-button · proof (data-proof: seal or post; data-height; data-state:
// claimed, checking, holds, fails or unchecked) · download-button · download-done · retry-button ·
// give-up-button · remove-button · query-button · answer (data-state) · payments (data-channel) · due · redeemed · voucher (data-state) ·
// export-button · refund (data-state) · network-panel · reach (data-connected, data-transport, data-obstacle) ·
// address (data-standing, data-transport) · connect-button · chain-form · chain-input · chain-connect · chain-question · chain-agree ·
// chain-stay · other-chain · change-chain · folder-input · chosen-name · chosen-facts · chosen-files · files-id · copies-choice · file-item
// (data-state) · file-state (data-state: under-way, kept, incomplete or failed) · file-progress · file-row (data-path, data-state) ·
// preview (data-state: idle, loading or shown; data-kind) · preview-button · preview-close · preview-cannot · show-file ·
// files-again · again-files · again-folder · piece-row (data-state) · download-all · download-file · file-download-done · file-give-up · file-go-on · file-forget · account-reminder · account-safety
// (data-phrase, data-file) · account-at-rest · account-passphrase · account-current · account-next · account-again · account-filePassphrase · account-others · phrase-show ·
// phrase · phrase-word (data-at) · phrase-confirm · phrase-hide · phrase-said · backup-own · backup-save · backup-said · lock-set · lock-remove · lock-now · lock-said ·
// unlock · unlock-button · restore-phrase · restore-file · restore-button · restored (data-known) · restore-open · passport · passport-button ·
// passport-verdict (data-wrong: the wrong steps' numbers) · passport-step (data-step, data-number, data-standing) · evidence · artefact (data-kind) ·
// artefact-proof (data-state) · inclusion-tree (data-levels) · time-line (data-posts) · receipt-button · receipt-saved · receipt-page · receipt-input ·
// receipt-name · receipt-deal (data-deal) · receipt-data · check-basis (data-trust) · to-operator. Those of the operator's page are in
// `operator-page.ts`.

import './trusted';
import './problem-box';
import './copyable';
import './chain-form';
import './reach';
import './network-panel';
import './store-page';
import './preview';
import './deal-page';
import './file-page';
import './deal-book';
import './account-page';
import './receipt-page';
import './app';
import { installing } from './installing';
import { takeToken } from './operator-token';
import { beginSpeaking } from './words';

takeToken();
beginSpeaking();
// After everything that is needed to show the page.
if (document.readyState === 'complete') void installing.begin();
else addEventListener('load', () => void installing.begin());
