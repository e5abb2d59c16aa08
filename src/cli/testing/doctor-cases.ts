/** Networks that are broken in one way each, and what `skein doctor` must find there. */

import { PrivateKey } from '../../crypto/private-key.ts'
import { systemClock } from '../../lib/clock.ts'
import { encodeErrorFrame, encodeMessageFrame } from '../../stream/own-frames.ts'
import { tidOf } from '../../syntax/tid.ts'
import type { DoctorContext } from '../doctor/doctor-context.ts'
import type { ProblemCode } from '../doctor/doctor-problems.ts'
import type { Kit } from './doctor-kit.ts'

const OTHER_KEY = PrivateKey.import('k256', new Uint8Array(32).fill(7)).publicKey
const SHORT = { timeoutMs: 300 }

export interface DoctorCase {
  /** The findings, in order, that must come, no more and no fewer. */
  readonly finds: readonly ProblemCode[]
  readonly exitCode: number
  readonly breaks: (kit: Kit) => void | Promise<void>
  /** Default the account's DID. */
  readonly target?: (kit: Kit) => Parameters<Kit['walk']>[0]
  readonly changes?: Partial<DoctorContext>
  readonly detail?: RegExp
}

export const aHost = (kit: Kit): Parameters<Kit['walk']>[0] => ({
  kind: 'host',
  host: kit.host.hostname,
})
const head = (status: string): string => `HTTP/1.1 ${status}\r\ncontent-length: 0\r\n\r\n`
const html = { headers: { 'content-type': 'text/html' }, body: '<html><h1>It works!</h1>' }

function aDns(code: string): Partial<DoctorContext> {
  return {
    resolveAddresses: () => Promise.reject(Object.assign(new Error('DNS'), { code })),
  }
}

export const DOCTOR_CASES: Readonly<Record<string, DoctorCase>> = {
  'a handle that leads nowhere': {
    finds: ['handle-not-found'],
    exitCode: 3,
    breaks: ({ handles }) => handles.clear(),
    target: () => ({ kind: 'handle', handle: 'alice.example.com' }),
  },
  'a handle that leads to another': {
    finds: ['handle-not-confirmed'],
    exitCode: 0,
    breaks: ({ handles }) =>
      void handles.set('alice.example.com', 'did:plc:somebodyelse234567abcdef'),
    detail: /somebodyelse/,
  },
  'a DID that is not registered': {
    finds: ['did-not-found'],
    exitCode: 3,
    breaks: ({ plc, repo }) => plc.remove(repo.did),
  },
  'a directory that fails': {
    finds: ['did-unresolved'],
    exitCode: 1,
    breaks: ({ plc }) => plc.setMode('fail'),
  },
  'a document without a key': {
    finds: ['did-no-key', 'commit-unresolved', 'head-not-proven'],
    exitCode: 4,
    breaks: ({ plc, repo, host }) =>
      plc.set(repo.did, { key: null, endpoint: host.endpoint, handle: 'alice.example.com' }),
  },
  'a document without a host': {
    finds: ['did-no-host'],
    exitCode: 1,
    breaks: ({ plc, repo }) => plc.set(repo.did, { key: repo.key.publicKey, endpoint: null }),
  },
  'a name that is not in the DNS': {
    finds: ['name-not-found'],
    exitCode: 3,
    breaks: () => undefined,
    target: () => ({ kind: 'host', host: 'https://pds.example.com' }),
    changes: aDns('ENOTFOUND'),
  },
  'name servers that fail': {
    finds: ['name-unresolved'],
    exitCode: 1,
    breaks: () => undefined,
    target: () => ({ kind: 'host', host: 'pds.example.com' }),
    changes: aDns('ESERVFAIL'),
    detail: /ESERVFAIL/,
  },
  'a name of a private address': {
    finds: ['name-private'],
    exitCode: 1,
    breaks: () => undefined,
    target: () => ({ kind: 'host', host: 'pds.example.com' }),
    changes: {
      allowPrivateNetwork: false,
      resolveAddresses: () => Promise.resolve([{ address: '10.0.0.7', family: 4 }]),
    },
    detail: /10\.0\.0\.7/,
  },
  'a name that is none': {
    finds: ['name-invalid'],
    exitCode: 1,
    breaks: () => undefined,
    target: () => ({ kind: 'host', host: 'pds.example.com/path' }),
  },
  'a closed port': {
    finds: ['connect-refused'],
    exitCode: 1,
    breaks: async ({ host }) => host[Symbol.asyncDispose](),
  },
  'describeServer that redirects': {
    finds: ['describe-redirect'],
    exitCode: 1,
    breaks: ({ host }) =>
      void host.answers.set('describeServer', () => ({ status: 302, headers: { location: '/x' } })),
  },
  'describeServer that is a web page': {
    finds: ['describe-not-json'],
    exitCode: 1,
    breaks: ({ host }) => void host.answers.set('describeServer', () => html),
    detail: /text\/html/,
  },
  'describeServer that fails': {
    finds: ['describe-status'],
    exitCode: 1,
    breaks: ({ host }) => host.set('describeServer', { error: 'Oh' }, 500),
    detail: /status 500/,
  },
  'describeServer that is limited': {
    finds: ['describe-limited'],
    exitCode: 1,
    breaks: ({ host }) => host.set('describeServer', {}, 429),
  },
  'describeServer without a DID': {
    finds: ['describe-invalid'],
    exitCode: 1,
    breaks: ({ host }) => host.set('describeServer', { did: 7 }),
  },
  'describeServer that never answers': {
    finds: ['describe-unreachable'],
    exitCode: 1,
    breaks: ({ host }) => void host.answers.set('describeServer', () => null),
    changes: SHORT,
    detail: /timed out/,
  },
  'a relay in place of a host': {
    finds: ['describe-relay'],
    exitCode: 1,
    breaks: ({ host }) =>
      void host.answers.set('describeServer', () => ({
        headers: { server: 'indigo (atproto-relay)' },
        body: { did: 'did:web:localhost' },
      })),
  },
  'listRepos that is garbage': {
    finds: ['list-failed'],
    exitCode: 0,
    breaks: ({ host }) => host.set('listRepos', { repos: 'many' }),
  },
  'a host without accounts': {
    finds: ['list-empty'],
    exitCode: 0,
    breaks: ({ host }) => host.set('listRepos', { repos: [] }),
  },
  'an upgrade that redirects': {
    finds: ['websocket-redirect'],
    exitCode: 1,
    breaks: ({ host }) => void (host.refuseUpgrade = (socket) => socket.end(head('302 Found'))),
    target: aHost,
  },
  'an upgrade that is limited': {
    finds: ['websocket-limited'],
    exitCode: 1,
    breaks: ({ host }) =>
      void (host.refuseUpgrade = (socket) => socket.end(head('429 Too Many Requests'))),
    target: aHost,
  },
  'a proxy that passes no WebSockets': {
    finds: ['websocket-status'],
    exitCode: 1,
    breaks: ({ host }) => void (host.refuseUpgrade = (socket) => socket.end(head('404 Not Found'))),
    target: aHost,
    detail: /404/,
  },
  'an upgrade that is never answered': {
    finds: ['websocket-timeout'],
    exitCode: 1,
    breaks: ({ host }) => void (host.refuseUpgrade = () => undefined),
    target: aHost,
    changes: SHORT,
  },
  'an upgrade that is cut': {
    finds: ['websocket-failed'],
    exitCode: 1,
    breaks: ({ host }) => void (host.refuseUpgrade = (socket) => socket.destroy()),
    target: aHost,
  },
  'a stream that is closed at once': {
    finds: ['websocket-closed'],
    exitCode: 1,
    breaks: ({ host }) => void (host.stream = (socket) => socket.close(1011, 'broken')),
    target: aHost,
    detail: /1011 broken/,
  },
  'an error frame': {
    finds: ['stream-error'],
    exitCode: 1,
    breaks: ({ host }) =>
      void (host.stream = (socket) => socket.send(encodeErrorFrame('ConsumerTooSlow', 'x'))),
    target: aHost,
    detail: /ConsumerTooSlow/,
  },
  'a stream without events': {
    finds: ['stream-quiet'],
    exitCode: 0,
    breaks: ({ frames }) => void (frames.length = 0),
    target: aHost,
  },
  'a text message': {
    finds: ['frame-invalid'],
    exitCode: 4,
    breaks: ({ host }) => void (host.stream = (socket) => socket.send('hello')),
    target: aHost,
    detail: /frame-not-binary/,
  },
  'a garbage frame': {
    finds: ['frame-invalid'],
    exitCode: 4,
    breaks: ({ host }) => void (host.stream = (socket) => socket.send(new Uint8Array([9, 9]))),
    target: aHost,
    detail: /frame-malformed/,
  },
  'a stream without commits': {
    finds: ['commit-none'],
    exitCode: 0,
    breaks: ({ frames, repo }) => {
      const time = new Date(systemClock.nowMs()).toISOString()
      const body = { seq: 1, did: repo.did, time, active: true }
      frames.splice(0, 2, encodeMessageFrame('#account', body))
    },
    target: aHost,
  },
  'commits of another key': {
    finds: ['commit-not-signed'],
    exitCode: 4,
    breaks: ({ plc, repo, host }) => plc.set(repo.did, { key: OTHER_KEY, endpoint: host.endpoint }),
    target: aHost,
    detail: /signature-invalid/,
  },
  'a head of another key': {
    finds: ['commit-not-signed', 'head-not-signed'],
    exitCode: 4,
    breaks: ({ plc, repo, host }) =>
      plc.set(repo.did, { key: OTHER_KEY, endpoint: host.endpoint, handle: 'alice.example.com' }),
  },
  'a commit that does not invert': {
    finds: ['commit-invalid'],
    exitCode: 4,
    breaks: ({ frames, repo }) => {
      const body = repo.apply([{ action: 'create', path: 'app.example.note/x', record: {} }])
      const ops = body.ops.map((op) => ({ ...op, path: 'app.example.note/y' }))
      const time = new Date(systemClock.nowMs()).toISOString()
      frames.push(encodeMessageFrame('#commit', { ...body, ops, seq: 3, time }))
    },
    target: aHost,
    detail: /op-not-in-tree|inversion-mismatch/,
  },
  'a directory that knows nobody of the stream': {
    finds: ['commit-unresolved'],
    exitCode: 0,
    breaks: ({ plc, repo }) => plc.remove(repo.did),
    target: aHost,
  },
  'an account whose document names another host': {
    finds: ['host-mismatch'],
    exitCode: 4,
    breaks: ({ plc, repo }) =>
      plc.set(repo.did, { key: repo.key.publicKey, endpoint: 'https://new.example.com' }),
    target: aHost,
    detail: /new\.example\.com/,
  },
  'an account that the host does not have': {
    finds: ['account-not-at-host'],
    exitCode: 3,
    breaks: ({ host }) => {
      host.set('getRepoStatus', { error: 'RepoNotFound', message: 'none' }, 400)
      host.set('getLatestCommit', { error: 'RepoNotFound', message: 'none' }, 400)
    },
  },
  'an account that is deactivated': {
    finds: ['account-inactive', 'relay-account-active'],
    exitCode: 3,
    breaks: ({ host, repo }) => {
      host.set('getRepoStatus', { did: repo.did, active: false, status: 'deactivated' })
      host.set('getLatestCommit', { error: 'RepoDeactivated', message: 'away' }, 400)
    },
    detail: /deactivated/,
  },
  'a host that says nothing of the account': {
    finds: ['account-status-unknown'],
    exitCode: 1,
    breaks: ({ host }) => {
      host.answers.set('getRepoStatus', () => html)
      host.answers.set('getLatestCommit', () => html)
    },
    detail: /InvalidResponse/,
  },
  'an account without a commit': {
    finds: ['account-without-commit', 'relay-head-unknown'],
    exitCode: 3,
    breaks: ({ host, repo }) => {
      host.set('getRepoStatus', { did: repo.did, active: true })
      host.set('getLatestCommit', { error: 'RepoNotFound', message: 'no head' }, 400)
    },
  },
  'a clock that is ahead': {
    finds: ['rev-in-future', 'relay-head-behind'],
    exitCode: 1,
    breaks: ({ host, repo }) => {
      const rev = tidOf((systemClock.nowMs() + 3_600_000) * 1_000, 1)
      host.set('getRepoStatus', { did: repo.did, active: true, rev })
      host.set('getLatestCommit', { cid: EMPTY_CID, rev })
    },
  },
  'a host without proofs': {
    finds: ['head-not-proven'],
    exitCode: 0,
    breaks: ({ host }) => void host.answers.delete('getRecord'),
    detail: /MethodNotImplemented/,
  },
  'a relay that is away': {
    finds: ['relay-unreachable', 'relay-account-no-answer'],
    exitCode: 1,
    breaks: async ({ relay }) => relay[Symbol.asyncDispose](),
    detail: /ECONNREFUSED/,
  },
  'a relay that does not know the host': {
    finds: ['relay-host-unknown'],
    exitCode: 3,
    breaks: ({ relay }) => relay.set('getHostStatus', { error: 'HostNotFound' }, 400),
  },
  'a relay that has banned the host': {
    finds: ['relay-host-banned'],
    exitCode: 1,
    breaks: (kit) => hostAtRelay(kit, { status: 'banned' }),
  },
  'a relay that throttles the host': {
    finds: ['relay-host-throttled'],
    exitCode: 1,
    breaks: (kit) => hostAtRelay(kit, { status: 'throttled' }),
  },
  'a relay that has given up the host': {
    finds: ['relay-host-offline'],
    exitCode: 1,
    breaks: (kit) => hostAtRelay(kit, { status: 'offline' }),
  },
  'a relay to which the host is idle': {
    finds: ['relay-host-idle'],
    exitCode: 0,
    breaks: (kit) => hostAtRelay(kit, { status: 'idle' }),
  },
  'a relay without getHostStatus': {
    finds: ['relay-host-status-unknown'],
    exitCode: 0,
    breaks: ({ relay }) => void relay.answers.delete('getHostStatus'),
  },
  'a sequence that has started over': {
    finds: ['relay-ahead'],
    exitCode: 1,
    breaks: (kit) => {
      hostAtRelay(kit, { seq: 900 })
      const { host, frames } = kit
      host.stream = (socket, cursor) => {
        if ((cursor ?? 0) > frames.length) socket.send(encodeErrorFrame('FutureCursor', ''))
        else for (const frame of frames) socket.send(frame)
      }
    },
    detail: /seq 900/,
  },
  'a relay that has stopped reading': {
    finds: ['relay-behind'],
    exitCode: 1,
    breaks: (kit) => {
      hostAtRelay(kit, { seq: 0 })
      const { repo, frames } = kit
      const body = { did: repo.did, time: '2026-01-01T00:00:00.000Z', active: true }
      const old = encodeMessageFrame('#account', { ...body, seq: 1 })
      frames.splice(0, 1, old)
    },
  },
  'a relay that does not know the account': {
    finds: ['relay-account-unknown'],
    exitCode: 3,
    breaks: ({ relay }) => {
      relay.set('getRepoStatus', { error: 'RepoNotFound' }, 400)
      relay.set('getLatestCommit', { error: 'RepoNotFound' }, 400)
    },
  },
  'a relay that throttles the account': {
    finds: ['relay-account-throttled'],
    exitCode: 1,
    breaks: (kit) => accountAtRelay(kit, 'throttled'),
  },
  'a relay that has taken the account down': {
    finds: ['relay-account-takendown'],
    exitCode: 1,
    breaks: (kit) => accountAtRelay(kit, 'takendown'),
  },
  'a relay that missed the activation': {
    finds: ['relay-account-inactive'],
    exitCode: 1,
    breaks: (kit) => accountAtRelay(kit, 'deactivated'),
  },
  'a relay with an old rev': {
    finds: ['relay-head-behind'],
    exitCode: 1,
    breaks: (kit) => kit.write(),
  },
  'a host that has lost commits': {
    finds: ['relay-head-ahead'],
    exitCode: 1,
    breaks: ({ relay, repo }) => {
      const rev = tidOf(systemClock.nowMs() * 1_000, 1)
      relay.set('getRepoStatus', { did: repo.did, active: true, rev })
      relay.set('getLatestCommit', { cid: EMPTY_CID, rev })
    },
  },
  'a repository that was rewritten': {
    finds: ['relay-head-differs'],
    exitCode: 1,
    breaks: ({ relay, repo }) =>
      relay.set('getLatestCommit', { cid: EMPTY_CID, rev: repo.head?.rev }),
  },
}

/** CID of some block. */
const EMPTY_CID = 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm'

function hostAtRelay({ relay, host }: Kit, change: object): void {
  const base = { hostname: host.hostname, seq: 2, accountCount: 1, status: 'active' }
  relay.set('getHostStatus', { ...base, ...change })
}

function accountAtRelay({ relay, repo }: Kit, status: string): void {
  relay.set('getRepoStatus', { did: repo.did, active: false, status })
  relay.set('getLatestCommit', { error: 'RepoDeactivated' }, 400)
}
