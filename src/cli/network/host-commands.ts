/** `skein host`: what a host says of itself and relays of it; listings of hosts and accounts. */

import type { ListedHost, ListedRepo } from '../../client/calls/sync-types.ts'
import { parseService } from '../../client/calls/service.ts'
import { codeOf } from '../../lib/errors.ts'
import { askOnce, callFailure } from './account-view.ts'
import type { CommandCall } from '../shared/command.ts'
import { given, NOT_GIVEN } from '../shared/common-options.ts'
import { type ServerDescription, describeServer } from '../doctor/doctor-http.ts'
import { EXIT } from '../io.ts'
import {
  type HOST_REPOS_OPTIONS,
  type LIMIT_OPTION,
  type RELAYS_OPTION,
  relaysOf,
} from './network-options.ts'
import { cleanText, countOf, formatCount } from '../shared/output.ts'
import { Progress } from '../shared/progress.ts'

/** Entries of one page: the most that the lexicons allow. */
const PAGE_LIMIT = 1_000
/** Statuses that are counted apart: the lexicons name a handful, a service any number. */
const STATUSES_MAX = 50
const OTHER_STATUS = 'other'
/** Longest name that a status is counted by. */
const STATUS_CHARS_MAX = 64

/** What one relay answers about a host. */
interface RelayWord {
  readonly relay: string
  readonly host: ListedHost | null
  /** The code of the error in place of an answer. */
  readonly error: string | null
  readonly detail: string | null
}

/** Runs `skein host status`. */
export async function runHostStatus(call: CommandCall<typeof RELAYS_OPTION>): Promise<number> {
  const { output, session, options } = call
  const { origin } = parseService(call.words[0] ?? '')
  const { host: hostname } = new URL(origin)
  const client = askOnce(session, origin, 'user')
  const [own, firstPage, ...relays] = await Promise.all([
    settled(describeServer(session, origin)),
    settled(client.listReposPage({ limit: PAGE_LIMIT })),
    ...relaysOf(options.relays).map((relay) => askRelay(call, relay, hostname)),
  ])
  session.signal.throwIfAborted()
  const repos = firstPage.value === null ? null : firstPage.value.repos.length
  const hasMore = firstPage.value?.cursor !== undefined && repos === PAGE_LIMIT
  if (output.isJson) {
    const server = own.value === null ? { error: own.error } : own.value
    await output.json({ hostname, origin, server, repos, hasMoreRepos: hasMore, relays })
  } else {
    await showHost(call, origin, own, repos === null ? firstPage.error : reposText(repos, hasMore))
    await output.line()
    await output.table(
      [
        { title: 'RELAY' },
        { title: 'STATUS' },
        { title: 'SEQ', align: 'right' },
        { title: 'ACCOUNTS', align: 'right' },
        { title: '' },
      ],
      relays.map(({ relay, host, error, detail }) => [
        relay,
        host === null ? (error ?? '') : (host.status ?? 'not said'),
        numberText(host?.seq),
        numberText(host?.accountCount),
        host === null ? (detail ?? '') : '',
      ]),
    )
    if (own.value === null) output.remark(`skein doctor ${hostname} shows what is wrong`)
  }
  if (own.value === null) return EXIT.failure
  return relays.some(({ error }) => error === 'HostNotFound' || error === 'HostBanned')
    ? EXIT.absent
    : EXIT.ok
}

function showHost(
  { output }: CommandCall<typeof RELAYS_OPTION>,
  origin: string,
  { value, error }: Settled<ServerDescription>,
  repos: string | null,
): Promise<void> {
  return output.facts([
    ['host', origin],
    ['server', value === null ? `no answer: ${error ?? ''}` : value.did],
    ['version', value === null ? null : (value.version ?? 'not told')],
    ['repositories', repos],
  ])
}

function reposText(repos: number, hasMore: boolean): string {
  return hasMore ? `more than ${formatCount(repos)}` : formatCount(repos)
}

function numberText(value: number | undefined): string {
  return value === undefined ? '' : formatCount(value)
}

async function askRelay(
  { session }: Pick<CommandCall<typeof RELAYS_OPTION>, 'session'>,
  relay: string,
  hostname: string,
): Promise<RelayWord> {
  const client = askOnce(session, relay, 'user')
  try {
    const host = await client.getHostStatus({ hostname })
    return { relay: client.service, host, error: null, detail: null }
  } catch (thrown) {
    const error = codeOf(thrown) ?? 'Error'
    return { relay: client.service, host: null, error, detail: callFailure(thrown) }
  }
}

interface Settled<T> {
  readonly value: T | null
  readonly error: string | null
}

async function settled<T>(promise: Promise<T>): Promise<Settled<T>> {
  try {
    return { value: await promise, error: null }
  } catch (error) {
    return { value: null, error: callFailure(error) }
  }
}

type ListCall = CommandCall<typeof LIMIT_OPTION & typeof RELAYS_OPTION>

/** Runs `skein host list`. */
export async function runHostList(call: ListCall): Promise<number> {
  const { io, output, options, session } = call
  const service = call.words[0] ?? relaysOf(options.relays)[0] ?? ''
  const client = session.client(service, 'user')
  const byStatus = new Map<string, number>()
  const limit = options.limit === 0 ? Infinity : options.limit
  const rows: string[][] = []
  let read = 0
  let isCut = false
  using progress = new Progress(io, { label: `hosts of ${client.service}`, unit: 'hosts' })
  const pageLimit = Math.min(PAGE_LIMIT, limit)
  for await (const host of client.listHosts({ limit: pageLimit })) {
    if (read >= limit) {
      isCut = true
      break
    }
    read++
    progress.update(read)
    const { hostname, status = 'not said', seq, accountCount } = host
    countStatus(byStatus, status)
    if (output.isJson) await output.jsonLine(host)
    else rows.push([hostname, status, numberText(seq), numberText(accountCount)])
  }
  progress.end()
  if (output.isJson) return EXIT.ok
  await output.table(
    [
      { title: 'HOST' },
      { title: 'STATUS' },
      { title: 'SEQ', align: 'right' },
      { title: 'ACCOUNTS', align: 'right' },
    ],
    rows,
  )
  output.remark(`${countOf(read, 'host')}: ${countsText(byStatus)}`)
  if (isCut) output.remark(`there are more; --limit 0 reads all`)
  return EXIT.ok
}

function countStatus(byStatus: Map<string, number>, status: string): void {
  const name = status.slice(0, STATUS_CHARS_MAX)
  const key = byStatus.has(name) || byStatus.size < STATUSES_MAX ? name : OTHER_STATUS
  byStatus.set(key, (byStatus.get(key) ?? 0) + 1)
}

function countsText(counts: ReadonlyMap<string, number>): string {
  const sorted = [...counts].toSorted(([, a], [, b]) => b - a)
  return sorted.map(([status, count]) => `${formatCount(count)} ${status}`).join(', ')
}

type ReposCall = CommandCall<typeof HOST_REPOS_OPTIONS & typeof LIMIT_OPTION>

/** Runs `skein host repos`. */
export async function runHostRepos(call: ReposCall): Promise<number> {
  const { io, output, options, session } = call
  const client = session.client(call.words[0] ?? '', 'user')
  const limit = limitOf(options)
  const wanted = given(options.status)
  const byStatus = new Map<string, number>()
  let read = 0
  let isCut = false
  using progress = new Progress(io, { label: `accounts of ${client.service}`, unit: 'accounts' })
  for await (const repo of client.listRepos({ limit: Math.min(PAGE_LIMIT, limit) })) {
    if (read >= limit) {
      isCut = true
      break
    }
    read++
    progress.update(read)
    const status = statusOf(repo)
    countStatus(byStatus, status)
    if (options.summary || !isWanted(status, wanted)) continue
    if (output.isJson) await output.jsonLine(repo)
    else {
      const { did, rev, head } = repo
      const shown = status === 'active' ? status : output.style('yellow', cleanText(status))
      await output.line(`${did.padEnd(32)}  ${rev}  ${head}  ${shown}`)
    }
  }
  progress.end()
  if (options.summary && output.isJson) {
    await output.json({
      service: client.service,
      read,
      isCut,
      byStatus: Object.fromEntries(byStatus),
    })
  } else if (options.summary) {
    await output.facts([
      ['service', client.service],
      ['accounts', `${formatCount(read)}${isCut ? ' and more' : ''}`],
      ...[...byStatus].toSorted(([, a], [, b]) => b - a),
    ])
  } else {
    output.remark(`${countOf(read, 'account')}: ${countsText(byStatus)}`)
    if (isCut) output.remark('there are more; --limit 0 reads all')
  }
  return EXIT.ok
}

/** Counts are of all accounts unless somebody bounds them. */
function limitOf({ limit, summary }: ReposCall['options']): number {
  return limit === 0 || (summary && limit === PAGE_LIMIT) ? Infinity : limit
}

/** `active`, or why it is not. Hosts that say nothing mean active. */
export function statusOf({ active = true, status }: ListedRepo): string {
  return active ? 'active' : (status ?? 'inactive')
}

function isWanted(status: string, wanted: string | null): boolean {
  if (wanted === null || wanted === NOT_GIVEN) return true
  return wanted === 'inactive' ? status !== 'active' : status === wanted
}
