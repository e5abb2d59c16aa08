/** What can be the matter with a host and its stream. */
import { type Problem, problemsAt } from './doctor-steps.ts'

export type HostProblemCode =
  | 'name-invalid'
  | 'name-not-found'
  | 'name-unresolved'
  | 'name-private'
  | 'connect-refused'
  | 'connect-timeout'
  | 'connect-failed'
  | 'tls-untrusted'
  | 'tls-expired'
  | 'tls-wrong-name'
  | 'tls-failed'
  | 'tls-expires-soon'
  | 'describe-unreachable'
  | 'describe-redirect'
  | 'describe-not-json'
  | 'describe-status'
  | 'describe-limited'
  | 'describe-invalid'
  | 'describe-relay'
  | 'list-failed'
  | 'list-empty'

export const HOST_PROBLEMS: Readonly<Record<HostProblemCode, Problem>> = {
  ...problemsAt('name', {
    'name-invalid': [
      'fail',
      'This is not a host name that relays accept.',
      'Relays take a public name with https on port 443: no IP address, no other port, no ' +
        'path. On a closed network use --allow-private-network.',
    ],
    'name-not-found': [
      'fail',
      'The name has no address in the DNS.',
      'Add an A or AAAA record for the name, or correct the name.',
    ],
    'name-unresolved': [
      'fail',
      'The name servers gave no answer.',
      'See that the name servers of the domain answer (`dig <name> A`), and that this machine ' +
        'reaches a resolver.',
    ],
    'name-private': [
      'fail',
      'The name leads to an address that is not public: relays refuse it.',
      'Point the record at a public address. On a closed network use --allow-private-network.',
    ],
  }),
  ...problemsAt('connect', {
    'connect-refused': [
      'fail',
      'Nothing listens at the port.',
      'Start the server or its TLS proxy, and see that it listens on the public address, not ' +
        'on 127.0.0.1 only.',
    ],
    'connect-timeout': [
      'fail',
      'The connection was not answered in time.',
      'A firewall drops packets, or the address is wrong. Open TCP port 443 to everybody.',
    ],
    'connect-failed': [
      'fail',
      'No connection could be made.',
      'See the detail; try `curl -v https://<host>/` from another network.',
    ],
    'tls-untrusted': [
      'fail',
      'The certificate is self-signed, or of an authority that nobody trusts, or its chain is ' +
        'incomplete.',
      "Use a certificate of a public authority (Let's Encrypt), and send the full chain.",
    ],
    'tls-expired': [
      'fail',
      'The certificate has expired, or is not valid yet.',
      'Renew it, and see why renewal did not run. If it is new, set the clock.',
    ],
    'tls-wrong-name': [
      'fail',
      'The certificate is for another name.',
      'Get one for this name. If several sites share the address, see that the proxy chooses ' +
        'by name (SNI).',
    ],
    'tls-failed': [
      'fail',
      'The TLS handshake failed.',
      'The port may speak plain HTTP or only old versions of TLS; see the detail.',
    ],
    'tls-expires-soon': [
      'warn',
      'The certificate expires within two weeks.',
      'See that its renewal runs.',
    ],
  }),
  ...problemsAt('describe-server', {
    'describe-unreachable': [
      'fail',
      'describeServer could not be asked.',
      'The connection broke off or the answer took too long; see the log of the server and ' +
        'its proxy.',
    ],
    'describe-redirect': [
      'fail',
      'describeServer answers with a redirect.',
      'Relays do not follow it. Request the crawl under the name that answers itself, and ' +
        'name that one in DID documents.',
    ],
    'describe-not-json': [
      'fail',
      'describeServer answers with something other than JSON, such as a web page.',
      'The proxy does not pass `/xrpc/` on to the PDS. Route it there.',
    ],
    'describe-status': [
      'fail',
      'describeServer answers with an error.',
      'Relays add no host whose describeServer fails. 404: `/xrpc/` is not routed to the PDS. ' +
        '5xx: see the log of the PDS.',
    ],
    'describe-limited': [
      'fail',
      'describeServer answers 429: too many requests.',
      'Let relays through the rate limit of the proxy, and try again later.',
    ],
    'describe-invalid': [
      'fail',
      'The answer of describeServer does not name a server DID.',
      'Set the DID of the service (`did:web:<host>`) in the configuration of the PDS.',
    ],
    'describe-relay': [
      'fail',
      'The server calls itself a relay: relays do not read one another as hosts.',
      'Name the PDS, not the relay.',
    ],
  }),
  ...problemsAt('list-repos', {
    'list-failed': [
      'warn',
      'listRepos gives no usable answer.',
      'Relays and mirrors find accounts by it. See the detail.',
    ],
    'list-empty': [
      'warn',
      'The host lists no account.',
      'Create one: a host without accounts has nothing to relay.',
    ],
  }),
}

export type StreamProblemCode =
  | 'websocket-redirect'
  | 'websocket-limited'
  | 'websocket-status'
  | 'websocket-timeout'
  | 'websocket-failed'
  | 'websocket-closed'
  | 'stream-error'
  | 'stream-quiet'
  | 'frame-invalid'
  | 'commit-none'
  | 'commit-not-signed'
  | 'commit-invalid'
  | 'commit-unresolved'
  | 'host-mismatch'

export const STREAM_PROBLEMS: Readonly<Record<StreamProblemCode, Problem>> = {
  ...problemsAt('websocket', {
    'websocket-redirect': [
      'fail',
      'The upgrade is answered with a redirect.',
      'Relays do not follow it. Serve the stream under this name.',
    ],
    'websocket-limited': [
      'fail',
      'The upgrade is answered 429: too many connections or requests.',
      'Let relays through the rate limit: they hold one long connection each.',
    ],
    'websocket-status': [
      'fail',
      'The upgrade is answered like a plain request.',
      'The proxy does not pass WebSockets on: set the Upgrade and Connection headers and ' +
        'HTTP/1.1 towards the PDS for `/xrpc/com.atproto.sync.subscribeRepos`.',
    ],
    'websocket-timeout': [
      'fail',
      'The upgrade is not answered in time.',
      'The proxy may buffer the answer or the server may hang; see both logs.',
    ],
    'websocket-failed': [
      'fail',
      'The WebSocket could not be opened.',
      'See the detail and the log of the proxy.',
    ],
    'websocket-closed': [
      'fail',
      'The host closes the stream as soon as it is open.',
      'See the log of the PDS; the detail has the close code.',
    ],
  }),
  ...problemsAt('first-frame', {
    'stream-error': [
      'fail',
      'The host ends the stream with an error frame.',
      'See the detail and the log of the PDS.',
    ],
    'stream-quiet': [
      'warn',
      'The stream is open and carries nothing, not from its beginning either.',
      'Nothing has happened that the host remembers. Write a record and run doctor again; ' +
        'relays will see the account from then on.',
    ],
    'frame-invalid': [
      'fail',
      'A message of the stream breaks a rule of the format: relays drop it.',
      'The reason names the rule (docs/generated/reasons.md). Update the PDS.',
    ],
  }),
  ...problemsAt('first-commit', {
    'commit-none': [
      'warn',
      'The stream holds no commit to look at.',
      'Write a record and run doctor again.',
    ],
    'commit-not-signed': [
      'fail',
      'A commit does not verify with the key of its DID document: relays drop it.',
      'The host signs with another key than the document names. Update the DID document, or ' +
        'restore the key.',
    ],
    'commit-invalid': [
      'fail',
      'A commit breaks a rule of Sync 1.1: relays drop it.',
      'The reason names the rule (docs/generated/reasons.md). Update the PDS: commits need ' +
        'prevData, prev of each operation, and the blocks that prove them.',
    ],
    'commit-unresolved': [
      'warn',
      'No DID of the commits in the stream could be resolved.',
      'Run doctor on one of the accounts. On a test network, name its directory with --plc.',
    ],
  }),
  ...problemsAt('host-match', {
    'host-mismatch': [
      'fail',
      'The DID document of an account in the stream names another host: relays drop its events.',
      'If the account has moved here, update its DID document and emit #identity. If it has ' +
        'moved away, deactivate it here. If the host was renamed, every DID document must name ' +
        'the new name.',
    ],
  }),
}
