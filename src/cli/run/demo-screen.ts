/** What `skein demo` shows: one screen on a terminal, one line a second elsewhere. Pure. */

/** The demo at a moment. */
export interface DemoFacts {
  readonly seconds: number
  readonly hosts: { readonly connected: number; readonly known: number }
  readonly accounts: number
  /** Events that have passed, in total and in the last second. */
  readonly verified: number
  readonly perSecond: number
  /** Events refused, by reason, and what was told to deserve it. */
  readonly refused: Readonly<Record<string, number>>
  readonly lies: number
  /** Events that the slowest host has sent and the relay has not decided. */
  readonly behind: number
  /** From an event's arrival to its publication, ms on average; null before the first. */
  readonly latencyMs: number | null
  readonly subscribers: number
  readonly faults: number
}

/** Where things are. */
export interface DemoAddresses {
  /** `http://127.0.0.1:2470` */
  readonly relay: string
  readonly plc: string
  readonly host: string
}

const REASONS_SHOWN = 6
const COLUMN = 24

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}

function latencyOf({ latencyMs }: DemoFacts): string {
  return latencyMs === null ? '-' : `${latencyMs.toFixed(1)} ms`
}

/** One line for logs. */
export function factsLine(facts: DemoFacts): string {
  const { seconds, hosts, perSecond, verified, refused, behind, subscribers } = facts
  return [
    `${seconds} s`,
    `hosts ${hosts.connected}/${hosts.known}`,
    `${perSecond} events/s`,
    `verified ${verified}`,
    `refused ${total(refused)} for ${Object.keys(refused).length} reasons`,
    `behind ${behind}`,
    `latency ${latencyOf(facts)}`,
    `subscribers ${subscribers}`,
  ].join(' | ')
}

function row(label: string, value: string | number): string {
  return `  ${label.padEnd(COLUMN)}${value}`
}

/** The screen, line by line, none over 79 columns for addresses of usual length. */
export function screenLines(facts: DemoFacts, addresses: DemoAddresses): string[] {
  const { hosts, perSecond, verified, refused, behind, subscribers, accounts } = facts
  const reasons = Object.entries(refused).toSorted((a, b) => b[1] - a[1])
  const others = reasons.slice(REASONS_SHOWN)
  return [
    `skein demo   ${facts.seconds} s   Ctrl-C stops it`,
    '',
    row('hosts connected', `${hosts.connected} of ${hosts.known}`),
    row('accounts', accounts),
    row('events a second', perSecond),
    row('verified', verified),
    row('behind the hosts', `${behind} events, ${latencyOf(facts)} from arrival to publication`),
    row('subscribers', subscribers),
    row('faults so far', facts.faults),
    row('refused', `${total(refused)} (lies told so far: ${facts.lies})`),
    ...reasons.slice(0, REASONS_SHOWN).map(([reason, count]) => row(`  ${reason}`, count)),
    others.length === 0
      ? ''
      : row(`  ${others.length} other reasons`, total(Object.fromEntries(others))),
    ...Array.from({ length: Math.max(0, REASONS_SHOWN - reasons.length) }, () => ''),
    '',
    ...tries(addresses),
  ]
}

/** What to try, as it can be pasted. */
function tries({ relay, plc, host }: DemoAddresses): string[] {
  const stream = `${relay.replace('http', 'ws')}/xrpc/com.atproto.sync.subscribeRepos`
  return [
    'Try in another terminal:',
    `  curl '${relay}/xrpc/com.atproto.sync.listHosts'`,
    `  curl '${relay}/xrpc/com.atproto.sync.listRepos?limit=5'`,
    `  curl '${host}/xrpc/com.atproto.sync.listRepos?limit=5'`,
    `  curl '${plc}/export?count=2'`,
    `  websocat -b '${stream}?cursor=0' | head -c 1000 | xxd`,
  ]
}

/** Text that draws `lines` where the last `before` lines stand. */
export function redraw(lines: readonly string[], before: number): string {
  const up = before === 0 ? '' : `\u001B[${before}A`
  return `${up}\u001B[0J${lines.join('\n')}\n`
}
