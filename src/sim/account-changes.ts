/** What happens to accounts besides writing, each with the events that the guides ask for. */
import { must } from '../lib/assert.ts'
import type { Random } from '../lib/random.ts'
import { below, pickOf } from './distributions.ts'
import { accountBody } from './messages.ts'
import type { SimAccount } from './sim-account.ts'
import type { Simulation } from './simulation.ts'
import { encodeMessageFrame } from '../stream/own-frames.ts'
import type { AccountStatus } from './world.ts'

/** Kinds of changes. */
export const CHANGES = [
  'create',
  'handle',
  'rotate',
  'migrate',
  'deactivate',
  'suspend',
  'takedown',
  'reactivate',
  'delete',
] as const

export type ChangeKind = (typeof CHANGES)[number]

/**
 * The kinds as often as they have their turn. Two ends for good (takedown, deletion) are made up
 * for by two new accounts, two for a while (deactivation, suspension) by two returns: after any
 * number of turns there are about as many active accounts as at the start.
 */
export const CHANGES_OF_A_TURN: readonly ChangeKind[] = [...CHANGES, 'create', 'reactivate']

/**
 * Makes one change to an account chosen by chance, and sends its events. False when no account is
 * fit for it. What readers have not read by then they may read differently afterwards: an event
 * that was signed with the key before cannot be verified any more.
 */
export function changeAccount(sim: Simulation, random: Random, kind: ChangeKind): boolean {
  if (kind === 'create') {
    createAccount(sim, below(random, sim.hosts.length))
    return true
  }
  const fit = sim.accounts.filter((account) => isFit(sim, account, kind))
  if (fit.length === 0) return false
  const account = pickOf(random, fit)
  switch (kind) {
    case 'handle':
      changeHandle(sim, account)
      break
    case 'rotate':
      rotateKey(sim, account)
      break
    case 'migrate': {
      const others = sim.hosts.filter(({ index }) => index !== account.host)
      migrate(sim, account, pickOf(random, others).index)
      break
    }
    case 'reactivate':
      setStatus(sim, account, 'active')
      sim.sendIdentity(account)
      sim.sendSync(account)
      break
    case 'delete':
      setStatus(sim, account, 'deleted')
      break
    case 'deactivate':
    case 'suspend':
    case 'takedown':
      setStatus(sim, account, STATUSES[kind])
  }
  return true
}

const STATUSES = {
  deactivate: 'deactivated',
  suspend: 'suspended',
  takedown: 'takendown',
} as const

/** Active accounts of which so many must stay. */
const ACTIVE_MIN = 4

function isFit(sim: Simulation, { status, place }: SimAccount, kind: ChangeKind): boolean {
  if (kind === 'reactivate') return status === 'deactivated' || status === 'suspended'
  if (status !== 'active') return false
  if (kind === 'migrate') return sim.hosts.length > 1
  // The busiest stay: without them there is little traffic.
  return kind === 'handle' || kind === 'rotate' || place >= ACTIVE_MIN
}

/** A new account: identity, account, first commit, and the sync that the reference adds. */
export function createAccount(sim: Simulation, host: number): SimAccount {
  const account = sim.addAccount(host, 'new')
  sim.sendIdentity(account)
  sim.sendStatus(account)
  sim.commit(account, [])
  sim.sendSync(account)
  sim.admit(account)
  return account
}

function changeHandle(sim: Simulation, account: SimAccount): void {
  account.handle = account.handle.startsWith('user')
    ? `renamed-${account.handle}`
    : account.handle.slice('renamed-'.length)
  sim.directory.update(account.did, { handle: account.handle }, sim.nowMs)
  sim.world.change(account.did, { handle: account.handle })
  sim.sendIdentity(account)
}

/** A new key, told to the directory and to readers, and a commit that verifies under it. */
export function rotateKey(sim: Simulation, account: SimAccount): void {
  takeNewKey(sim, account)
  sim.directory.update(account.did, { key: account.repo.key.publicKey }, sim.nowMs)
  sim.sendIdentity(account)
  sim.commit(account, [])
}

function takeNewKey(sim: Simulation, account: SimAccount): void {
  account.previousKey = account.repo.key
  account.repo.rotateKey(`${sim.options.seed} account ${account.number} key ${account.keys}`)
  account.keys++
}

/**
 * To another host, with a new key. The new host sends account, identity, and a sync of a commit
 * under the new key. The old one goes on speaking: it is not the account's host any more.
 */
function migrate(sim: Simulation, account: SimAccount, to: number): void {
  const from = account.host
  takeNewKey(sim, account)
  const key = account.repo.key.publicKey
  sim.directory.update(account.did, { key, endpoint: sim.host(to).endpoint }, sim.nowMs)
  account.host = to
  sim.world.change(account.did, { host: to })
  sim.write(account, [])
  sim.sendStatus(account)
  sim.sendIdentity(account)
  const sibling = sim.sendSync(account)
  const { log } = sim.host(from)
  const body = accountBody(account.did, sim.momentAt(from), 'deactivated')
  const entry = sim.ledger.tell({
    lie: 'host-mismatch: the host that an account has left ends it',
    reason: 'host-mismatch',
    host: from,
    hostSeq: log.nextSeq,
    did: account.did,
  })
  entry.sibling = sibling
  log.append(encodeMessageFrame('#account', { ...body, seq: log.nextSeq }), { lie: entry })
}

function setStatus(sim: Simulation, account: SimAccount, status: AccountStatus): void {
  account.status = status
  sim.world.change(account.did, { status })
  sim.sendStatus(account)
}

/** The first half of an account that speaks before its directory knows it. */
export function speakTooEarly(sim: Simulation, host: number): SimAccount {
  const account = sim.addAccount(host, 'new', 'hidden')
  const { log } = sim.host(host)
  const tell = (lie: string): ReturnType<Simulation['ledger']['tell']> =>
    sim.ledger.tell({
      lie: `identity-missing: ${lie} before the directory knows the account`,
      reason: 'identity-missing',
      host,
      hostSeq: log.nextSeq,
      did: account.did,
    })
  const body = { ...accountBody(account.did, sim.momentAt(host), 'active'), seq: log.nextSeq }
  log.append(encodeMessageFrame('#account', body), { lie: tell('an #account') })
  const commit = { ...sim.write(account, []), seq: log.nextSeq }
  log.append(encodeMessageFrame('#commit', commit), { lie: tell('a #commit') })
  return account
}

/** The second half: the directory knows it, and it says so. */
export function becomeKnown(sim: Simulation, account: SimAccount): void {
  sim.directory.show(account.did)
  sim.sendIdentity(account)
  sim.sendStatus(account)
  const sibling = sim.sendSync(account)
  for (const entry of sim.ledger.entries) if (entry.did === account.did) entry.sibling = sibling
  must(account.repo.head, 'head')
  sim.admit(account)
}
