/** A healthy little network for tests of `skein doctor`: directory, host, relay, an account. */

import { cidToString } from '../../data/cid.ts'
import { loadVerifier } from '../../crypto/verifier.ts'
import { resolvePrivateNames } from '../../identity/address-lookup.ts'
import { createIdentityResolver } from '../../identity/create-identity-resolver.ts'
import { createSafeFetch } from '../../identity/safe-fetch.ts'
import { SyncClient } from '../../client/calls/sync-client.ts'
import { must } from '../../lib/assert.ts'
import { systemClock } from '../../lib/clock.ts'
import { encodeMessageFrame } from '../../stream/own-frames.ts'
import { SignedRepo } from '../../sim/signed-repo.ts'
import { FakePlc } from '../../../test/support/fake-plc.ts'
import { BrokenHost, type Certificate } from './broken-host.ts'
import { diagnose, type DoctorTarget } from '../doctor/doctor.ts'
import { checkedTransport, type DoctorContext } from '../doctor/doctor-context.ts'
import type { ProblemCode } from '../doctor/doctor-problems.ts'
import { Checklist, type StepResult } from '../doctor/doctor-report.ts'
import type { DoctorStepName } from '../doctor/doctor-steps.ts'
import { exitCodeOf } from '../doctor/doctor-command.ts'

const HANDLE = 'alice.example.com'

export interface Kit extends AsyncDisposable {
  readonly plc: FakePlc
  readonly host: BrokenHost
  readonly relay: BrokenHost
  readonly repo: SignedRepo
  /** Frames that the host has, by seq from 1 on. */
  readonly frames: Uint8Array[]
  /** Who the handle leads to. */
  readonly handles: Map<string, string>
  /** Writes a record; its event is the next of the stream. */
  write(): void
  /** Answers about the account at its newest commit. */
  showHead(server: BrokenHost): void
  walk(target: DoctorTarget, changes?: Partial<DoctorContext>): Promise<Walk>
}

export interface Walk {
  readonly results: readonly StepResult[]
  readonly problems: readonly ProblemCode[]
  readonly exitCode: number
  outcome(step: DoctorStepName): StepResult
}

/** Everything is well until a test breaks it. */
export async function startKit(certificate: Certificate | null = null): Promise<Kit> {
  await using stack = new AsyncDisposableStack()
  const plc = stack.use(await FakePlc.start())
  const host = stack.use(await BrokenHost.start(certificate))
  const relay = stack.use(await BrokenHost.start())
  const repo = new SignedRepo({ seed: 'alice', startMs: systemClock.nowMs() - 3_600_000 })
  plc.set(repo.did, { key: repo.key.publicKey, endpoint: host.endpoint, handle: HANDLE })
  const frames: Uint8Array[] = []
  const kit = { plc, host, relay, repo, frames, handles: new Map([[HANDLE, repo.did]]) }
  const write = (): void => writeRecord(kit)
  host.set('describeServer', { did: 'did:web:localhost', availableUserDomains: [] })
  host.stream = (socket, cursor) => {
    for (const [i, frame] of frames.entries()) {
      if (cursor !== null && i + 1 > cursor) socket.send(frame)
    }
  }
  write()
  write()
  relay.set('getHostStatus', { hostname: host.hostname, seq: 2, accountCount: 1, status: 'active' })
  showHead(kit, relay)
  const owned = stack.move()
  return {
    ...kit,
    write,
    showHead: (server) => showHead(kit, server),
    walk: (target, changes = {}) => walk(kit, target, changes),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

type Parts = Pick<Kit, 'plc' | 'host' | 'relay' | 'repo' | 'frames' | 'handles'>

function writeRecord(kit: Parts): void {
  const { repo, frames, host } = kit
  const path = `app.example.note/n${frames.length}`
  const body = repo.apply([{ action: 'create', path, record: { n: frames.length } }])
  const time = new Date(systemClock.nowMs()).toISOString()
  const seq = frames.length + 1
  frames.push(encodeMessageFrame('#commit', { ...body, seq, time }))
  showHead(kit, host)
}

function showHead({ repo }: Parts, server: BrokenHost): void {
  const { did } = repo
  const { rev, commit } = must(repo.head, 'head')
  const head = cidToString(commit)
  const car = repo.exportCar()
  server.set('getRepoStatus', { did, active: true, rev })
  server.set('getLatestCommit', { cid: head, rev })
  server.set('listRepos', { repos: [{ did, rev, head, active: true }] })
  server.answers.set('getRecord', () => ({
    headers: { 'content-type': 'application/vnd.ipld.car' },
    body: car,
  }))
}

async function walk(
  { plc, relay, handles }: Parts,
  target: DoctorTarget,
  changes: Partial<DoctorContext>,
): Promise<Walk> {
  await using stack = new AsyncDisposableStack()
  const { clock = systemClock, timeoutMs = 5_000, allowPrivateNetwork = true } = changes
  const http = stack.use(createSafeFetch({ userAgent: 'test', allowPrivateNetwork }))
  const identities = createIdentityResolver({
    userAgent: 'test',
    plcDirectories: [plc.url],
    allowPrivateNetwork,
  })
  stack.defer(() => identities.close())
  const options = { allowPrivateNetwork: true, identities, retry: 'never' } as const
  const list = new Checklist(
    clock,
    () => undefined,
    () => undefined,
  )
  const ctx: DoctorContext = {
    clock,
    allowPrivateNetwork,
    http,
    transport: checkedTransport(http, systemClock, timeoutMs),
    resolveAddresses: resolvePrivateNames,
    identities,
    verifier: await loadVerifier(),
    resolveHandle: async (handle) => outcomeOf(handle, handles.get(handle)),
    hostClient: (endpoint) => new SyncClient(endpoint, options),
    relays: [new SyncClient(relay.endpoint, options)],
    timeoutMs,
    quietMs: 150,
    signal: new AbortController().signal,
    ...changes,
  }
  await diagnose(ctx, target, list)
  const { results } = list
  return {
    results,
    problems: results.flatMap(({ problem }) => problem ?? []),
    exitCode: exitCodeOf(results),
    outcome: (step) =>
      must(
        results.find((result) => result.step === step),
        step,
      ),
  }
}

type Outcome = Awaited<ReturnType<DoctorContext['resolveHandle']>>

function outcomeOf(handle: string, text: string | undefined): Outcome {
  const none = { kind: 'none', detail: `${handle} has no TXT record` } as const
  const did = text as Outcome['did'] | undefined
  if (did === undefined || did === null) {
    return { handle, did: null, via: null, isFinal: true, dns: none, https: none }
  }
  return { handle, did, via: 'dns', isFinal: true, dns: { kind: 'did', did }, https: null }
}
