/** `skein compare`: two relays side by side, and where they differ. */

import { parseService } from '../../client/calls/service.ts'
import { SkeinError } from '../../lib/errors.ts'
import type { CommandCall } from '../shared/command.ts'
import { compareAccounts, compareHosts, type ListDifferences } from './compare-lists.ts'
import { compareStreams, type StreamDifferences } from './compare-streams.ts'
import { EXIT } from '../io.ts'
import type { COMPARE_OPTIONS } from './network-options.ts'
import { cleanText, countOf, formatCount, formatDuration } from '../shared/output.ts'

type CompareCall = CommandCall<typeof COMPARE_OPTIONS>

/** Differences that are written out; the JSON has all that are kept. */
const SHOWN_MAX = 20

/** Runs `skein compare`; 0 when nothing differs, 4 when something does. */
export async function runCompare(call: CompareCall): Promise<number> {
  const { output, options, session, signal } = call
  const [first, second] = call.words.map((word) => parseService(word).origin)
  if (first === undefined || second === undefined || first === second) {
    throw new SkeinError('OPTION_INVALID', 'options: compare needs two relays')
  }
  const relays = [session.client(first, 'user'), session.client(second, 'user')] as const
  // The streams run while the lists are read: the time is used once.
  const streaming =
    options.duration === 0
      ? null
      : compareStreams(call, [first, second], {
          durationMs: options.duration,
          settleMs: options.settle,
        })
  // What fails below must not leave this one without somebody who listens.
  streaming?.catch(() => undefined)
  const hosts = options.limit === 0 ? null : await compareHosts(call, relays)
  const accounts = options.limit === 0 ? null : await compareAccounts(call, relays, options.limit)
  if (!output.isJson) {
    await output.line(`${output.style('bold', 'A')}  ${first}`)
    await output.line(`${output.style('bold', 'B')}  ${second}`)
    if (hosts !== null) await showLists(call, 'hosts', hosts)
    if (accounts !== null) await showLists(call, 'accounts', accounts)
  }
  const streams = streaming === null ? null : await streaming
  signal.throwIfAborted()
  if (!output.isJson && streams !== null) await showStreams(call, streams)
  const differs =
    (hosts?.differences.length ?? 0) > 0 ||
    (accounts?.differences.length ?? 0) > 0 ||
    (streams !== null && (streams.onlyA + streams.onlyB > 0 || streams.failures.length > 0))
  if (output.isJson) await output.json({ a: first, b: second, hosts, accounts, streams, differs })
  else {
    const word = differs ? output.style('yellow', 'They differ.') : output.style('green', 'Equal.')
    await output.line(`\n${word}`)
  }
  return differs ? EXIT.unverified : EXIT.ok
}

async function showLists(
  { output }: CompareCall,
  what: 'hosts' | 'accounts',
  { compared, onlyA, onlyB, differing, differences, isCut, note }: ListDifferences,
): Promise<void> {
  const cut = isCut ? ' (bounded by --limit)' : ''
  await output.line(`\n${output.style('bold', what)}`)
  await output.facts([
    ['compared', `${formatCount(compared)}${cut}`],
    ['only A', onlyA],
    ['only B', onlyB],
    ['differ', differing],
    ['note', note],
  ])
  for (const { name, a, b } of differences.slice(0, SHOWN_MAX)) {
    const text = cleanText(`${name}  A ${a ?? '-'}  B ${b ?? '-'}`)
    await output.line(`  ${output.style('yellow', text)}`)
  }
  if (differences.length > SHOWN_MAX) {
    await output.line(`  and ${formatCount(differences.length - SHOWN_MAX)} more; --json has them`)
  }
}

async function showStreams({ output }: CompareCall, streams: StreamDifferences): Promise<void> {
  const { tookMs, sides, both, onlyA, onlyB, lead, examples, failures } = streams
  await output.line(`\n${output.style('bold', 'events')}`)
  const rate = (events: number): string =>
    `${formatCount(events)}, ${((events * 1_000) / Math.max(1, tookMs)).toFixed(1)} a second`
  await output.facts([
    ['time', formatDuration(tookMs)],
    ['A', rate(sides[0])],
    ['B', rate(sides[1])],
    ['at both', both],
    ['only A', onlyA],
    ['only B', onlyB],
    ['first', lead === null ? null : leadText(lead)],
  ])
  for (const { side, type, did, rev } of examples.slice(0, SHOWN_MAX)) {
    const text = `only ${side}  ${type}  ${did}  ${rev ?? ''}`
    await output.line(`  ${output.style('yellow', cleanText(text))}`)
  }
  for (const failure of failures) output.remark(failure)
}

/** Who is ahead, by how much. */
function leadText(lead: NonNullable<StreamDifferences['lead']>): string {
  const { medianMs, p10Ms, p90Ms, aFirst, bFirst } = lead
  const who = medianMs === 0 ? 'both at once' : medianMs > 0 ? 'A' : 'B'
  const by = medianMs === 0 ? '' : ` by ${formatDuration(Math.abs(medianMs))} (median)`
  const spread = `A's lead from ${formatDuration(p10Ms)} to ${formatDuration(p90Ms)}`
  return `${who}${by}; ${spread}; A first ${countOf(aFirst, 'time')}, B ${countOf(bFirst, 'time')}`
}
