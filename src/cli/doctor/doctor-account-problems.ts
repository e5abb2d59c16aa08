/** What can be the matter with an account, and with what a relay makes of it. */
import { type Problem, problemsAt } from './doctor-steps.ts'

export type AccountProblemCode =
  | 'handle-not-found'
  | 'handle-not-confirmed'
  | 'did-not-found'
  | 'did-unresolved'
  | 'did-no-key'
  | 'did-no-host'
  | 'account-not-at-host'
  | 'account-inactive'
  | 'account-status-unknown'
  | 'account-without-commit'
  | 'rev-in-future'
  | 'head-not-signed'
  | 'head-not-proven'

export const ACCOUNT_PROBLEMS: Readonly<Record<AccountProblemCode, Problem>> = {
  ...problemsAt('handle', {
    'handle-not-found': [
      'fail',
      'Neither DNS nor the web server of the handle names a DID.',
      'Set the TXT record `_atproto.<handle>` to `did=<did>`, or serve the DID as text at ' +
        '`https://<handle>/.well-known/atproto-did`.',
    ],
    'handle-not-confirmed': [
      'warn',
      'The DID document claims a handle that does not lead back to the account.',
      'Apps will show "invalid handle"; relays carry the account all the same. Mend the TXT ' +
        'record or the well-known file of the handle, or change the handle.',
    ],
  }),
  ...problemsAt('did-document', {
    'did-not-found': [
      'fail',
      'There is no such DID, or it has been tombstoned.',
      'Check its spelling. A did:plc must be registered at the directory that relays use; a ' +
        'did:web must be served at `https://<domain>/.well-known/did.json`.',
    ],
    'did-unresolved': [
      'fail',
      'The DID document could not be had.',
      'did:plc: the directory did not answer, try again. did:web: see that ' +
        '`https://<domain>/.well-known/did.json` answers with JSON of this DID, without a ' +
        'redirect.',
    ],
    'did-no-key': [
      'fail',
      'The DID document has no usable `#atproto` signing key.',
      'Add a verification method `#atproto` of type Multikey with a P-256 or secp256k1 key.',
    ],
    'did-no-host': [
      'fail',
      'The DID document names no usable `#atproto_pds` service.',
      'Add a service `#atproto_pds` of type AtprotoPersonalDataServer whose endpoint is the ' +
        'origin of the host: https, no path.',
    ],
  }),
  ...problemsAt('account-at-host', {
    'account-not-at-host': [
      'fail',
      'The host that the DID document names does not have the account.',
      'If the account has moved, finish the migration: the DID document must name the new ' +
        'host. If it is new, see that it was created.',
    ],
    'account-inactive': [
      'fail',
      'The account is not active at its host.',
      'Relays do not carry what is not active. Activate the account (activateAccount), or ask ' +
        'the operator of the host why it is suspended or taken down.',
    ],
    'account-status-unknown': [
      'fail',
      'The host gives no usable answer about the account.',
      'See that getRepoStatus and getLatestCommit answer; relays ask the former when they are ' +
        'in doubt.',
    ],
    'account-without-commit': [
      'fail',
      'The account is active and has no commit.',
      'Write a first record; a repository begins with its first commit.',
    ],
    'rev-in-future': [
      'fail',
      'The rev of the newest commit lies in the future: relays refuse such commits.',
      'Set the clock of the host by NTP. Commits pass again when the time has come.',
    ],
  }),
  ...problemsAt('head-signature', {
    'head-not-signed': [
      'fail',
      'The newest commit does not verify with the key of the DID document.',
      'The host signs with another key than the document names: update the document, or ' +
        'restore the key at the host. After a migration, activate the account with the new key ' +
        'before it writes.',
    ],
    'head-not-proven': [
      'warn',
      'The host does not give a proof of the newest commit.',
      'See that getRecord of com.atproto.sync answers with a CAR; see the detail.',
    ],
  }),
}

export type RelayProblemCode =
  | 'relay-unreachable'
  | 'relay-host-unknown'
  | 'relay-host-banned'
  | 'relay-host-throttled'
  | 'relay-host-offline'
  | 'relay-host-idle'
  | 'relay-host-status-unknown'
  | 'relay-ahead'
  | 'relay-behind'
  | 'relay-account-unknown'
  | 'relay-account-no-answer'
  | 'relay-account-throttled'
  | 'relay-account-takendown'
  | 'relay-account-inactive'
  | 'relay-account-active'
  | 'relay-head-unknown'
  | 'relay-head-behind'
  | 'relay-head-ahead'
  | 'relay-head-differs'

export const RELAY_PROBLEMS: Readonly<Record<RelayProblemCode, Problem>> = {
  ...problemsAt('relay-host', {
    'relay-unreachable': [
      'fail',
      'The relay does not answer.',
      'Try again later, or name another with --relay.',
    ],
    'relay-host-unknown': [
      'fail',
      'The relay does not know the host.',
      'Ask it to crawl: `skein crawl request <host>`.',
    ],
    'relay-host-banned': [
      'fail',
      'The relay has banned the host.',
      'Write to the operator of the relay. Nothing that the host does changes this.',
    ],
    'relay-host-throttled': [
      'fail',
      'The relay throttles the host: it is over its limit of accounts, and new ones are not ' +
        'carried.',
      'Ask the operator of the relay for a higher limit; delete accounts of spammers first.',
    ],
    'relay-host-offline': [
      'fail',
      'The relay has given up connecting to the host.',
      'When the steps above are good, ask it to come back: `skein crawl request <host>`.',
    ],
    'relay-host-idle': [
      'warn',
      'The relay keeps no connection to the host, since nothing has come from it for long.',
      'Ask it to come back before you write: `skein crawl request <host>`.',
    ],
    'relay-host-status-unknown': [
      'warn',
      'The relay gives no status of the host.',
      'It may lack getHostStatus; what follows still tells.',
    ],
  }),
  ...problemsAt('relay-lag', {
    'relay-ahead': [
      'fail',
      'The relay holds a seq that the host has not reached: the sequence of the host has ' +
        'started over.',
      'Relays may ignore everything until the host passes that seq. Set the sequence of the ' +
        'host above it, or ask the operator of the relay to reset its cursor.',
    ],
    'relay-behind': [
      'fail',
      'Events of more than a minute ago wait at the host for the relay.',
      'The relay is not connected, or is slow. Ask it to crawl (`skein crawl request ' +
        '<host>`), and see its status.',
    ],
  }),
  ...problemsAt('relay-account', {
    'relay-account-unknown': [
      'fail',
      'The relay does not know the account.',
      'It learns of it by the next event: write a record. If that does not help, see the host ' +
        'steps.',
    ],
    'relay-account-no-answer': [
      'fail',
      'The relay gives no usable answer about the account.',
      'Try again later; see the detail.',
    ],
    'relay-account-throttled': [
      'fail',
      'The relay throttles the account: its host is over its limit of accounts.',
      'Ask the operator of the relay to raise the limit of the host.',
    ],
    'relay-account-takendown': [
      'fail',
      'The operator of the relay has taken the account down.',
      'Write to the operator of the relay.',
    ],
    'relay-account-inactive': [
      'fail',
      'The account is active at its host and inactive at the relay.',
      'The relay missed its activation. Make the host emit #account again (deactivate and ' +
        'activate the account), then write a record.',
    ],
    'relay-account-active': [
      'warn',
      'The account is inactive at its host and active at the relay.',
      'The relay missed an #account event; the host should emit it again.',
    ],
  }),
  ...problemsAt('relay-head', {
    'relay-head-unknown': [
      'warn',
      'The host shows no commit to compare with.',
      'See account-at-host.',
    ],
    'relay-head-behind': [
      'fail',
      'The relay is at an older commit than the host.',
      'It missed or dropped newer commits: see first-commit and relay-lag. A new commit, or a ' +
        '#sync of the host, brings it up to date.',
    ],
    'relay-head-ahead': [
      'fail',
      'The relay is at a newer commit than the host: the host has lost commits, as after a ' +
        'restore from a backup.',
      'Relays refuse commits whose rev is not newer than what they know. Restore the newer ' +
        'repository, or write with a clock that is past the rev of the relay.',
    ],
    'relay-head-differs': [
      'fail',
      'Relay and host have different commits for the same rev.',
      'The repository was rewritten at the host. Write a record: the next commit has a newer rev.',
    ],
  }),
}
