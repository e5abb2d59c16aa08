/**
 * A directory, a host, a relay that follows it and a subscriber of the relay: most tests need one.
 */
import { systemClock } from '../../src/lib/clock.ts'
import type { PlcEntry } from './fake-plc.ts'
import { FakeHost } from './fake-host.ts'
import { FakePlc } from './fake-plc.ts'
import { RelayClient } from './relay-client.ts'
import { SignedRepo, type SignedRepoOptions } from './signed-repo.ts'
import { TestRelay, type TestRelayOptions } from './test-relay.ts'

/** Revs of test repositories begin here: a day ago, so that none is ahead of the clock. */
export const REVS_FROM_MS: number = systemClock.nowMs() - 86_400_000

export interface World extends AsyncDisposable {
  readonly plc: FakePlc
  readonly host: FakeHost
  readonly relay: TestRelay
  /** Live from the start. */
  readonly client: RelayClient
  /** A repository whose account the directory places at `host`. */
  account(seed: string, options?: AccountOptions): SignedRepo
}

export interface AccountOptions extends Omit<Partial<SignedRepoOptions>, 'seed'> {
  /** Where the document says that it is; default the world's host. */
  readonly host?: FakeHost
  readonly format?: PlcEntry['format']
}

/** Registers an account and returns its repository. */
export function createAccount(
  plc: FakePlc,
  host: FakeHost,
  seed: string,
  options: AccountOptions = {},
): SignedRepo {
  const { host: other = host, format = 'multikey', ...rest } = options
  const repo = new SignedRepo({ startMs: REVS_FROM_MS, ...rest, seed })
  plc.set(repo.did, { key: repo.key.publicKey, endpoint: other.endpoint, format })
  return repo
}

/** Starts everything. The relay is connected to the host, the client to the relay. */
export async function startWorld(options: Partial<TestRelayOptions> = {}): Promise<World> {
  await using stack = new AsyncDisposableStack()
  const plc = stack.use(await FakePlc.start())
  const host = stack.use(await FakeHost.start())
  const relay = stack.use(
    await TestRelay.start({ plc: [plc.url], hosts: [host.endpoint], ...options }),
  )
  const client = stack.use(await RelayClient.connect(relay.address))
  if (options.hosts === undefined) await host.connected()
  const owned = stack.move()
  return {
    plc,
    host,
    relay,
    client,
    account: (seed, accountOptions) => createAccount(plc, host, seed, accountOptions),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** An `#identity` or `#account` body of now. */
export function accountBody(did: string, active: boolean, status?: string): object {
  return { did, time: now(), active, ...(status === undefined ? {} : { status }) }
}

export function identityBody(did: string, handle?: string): object {
  return { did, time: now(), ...(handle === undefined ? {} : { handle }) }
}

function now(): string {
  return new Date(systemClock.nowMs()).toISOString()
}
