/** `skein crawl request`: asks relays to read a host, and explains what they answer. */

import { CallError, type CallErrorCode, isCallError } from '../../client/calls/call-error.ts'
import { parseService } from '../../client/calls/service.ts'
import type { ListedHost } from '../../client/calls/sync-types.ts'
import { sleep, systemClock } from '../../lib/clock.ts'
import { askOnce, callFailure } from './account-view.ts'
import type { CommandCall } from '../shared/command.ts'
import { EXIT } from '../io.ts'
import { type RELAYS_OPTION, relaysOf } from './network-options.ts'
import { cleanText, countOf } from '../shared/output.ts'

/** A relay that has taken a host needs a moment to connect. */
const LOOKS = 4
const LOOK_PAUSE_MS = 500

interface CrawlWord {
  readonly relay: string
  readonly accepted: boolean
  /** Code of the error; null when the relay took the request. */
  readonly error: string | null
  readonly detail: string
  /** What to do, or to look at next. */
  readonly advice: string
  /** The relay's view of the host afterwards. */
  readonly host: ListedHost | null
}

/** Runs `skein crawl request`. */
export async function runCrawlRequest(call: CommandCall<typeof RELAYS_OPTION>): Promise<number> {
  const { output, session, options } = call
  const { host: hostname } = new URL(parseService(call.words[0] ?? '').origin)
  const words: CrawlWord[] = []
  for (const relay of relaysOf(options.relays)) {
    const word = await requestOf(call, relay, hostname)
    words.push(word)
    if (output.isJson) continue
    const mark = word.accepted ? output.style('green', 'taken  ') : output.style('red', 'refused')
    await output.line(`${mark}  ${word.relay}  ${cleanText(word.detail)}`)
    await output.line(`         ${cleanText(word.advice)}`)
  }
  session.signal.throwIfAborted()
  if (output.isJson) await output.json({ hostname, relays: words })
  const refused = words.filter(({ accepted }) => !accepted)
  if (refused.length === 0) return EXIT.ok
  return refused.every(({ error }) => error === 'HostBanned' || error === 'HostNotFound')
    ? EXIT.absent
    : EXIT.failure
}

async function requestOf(
  { session }: CommandCall<typeof RELAYS_OPTION>,
  relay: string,
  hostname: string,
): Promise<CrawlWord> {
  const client = askOnce(session, relay, 'user')
  const { service } = client
  try {
    await client.requestCrawl({ hostname })
  } catch (thrown) {
    if (!isCallError(thrown)) throw thrown
    const { code } = thrown
    const detail = callFailure(thrown)
    const advice = refusalAdvice(thrown, hostname)
    return { relay: service, accepted: false, error: code, detail, advice, host: null }
  }
  let host: ListedHost | null = null
  for (let looks = 0; looks < LOOKS; looks++) {
    host = await client.getHostStatus({ hostname }).catch((error: unknown) => {
      if (error instanceof CallError) return null
      throw error
    })
    if (host?.status === 'active') break
    await sleep(systemClock, LOOK_PAUSE_MS, session.signal)
  }
  const seq = host?.seq === undefined ? '' : `, seq ${host.seq}`
  const accounts =
    host?.accountCount === undefined ? '' : `, ${countOf(host.accountCount, 'account')}`
  const detail =
    host === null
      ? 'and does not list the host yet'
      : `status ${host.status ?? 'not said'}${seq}${accounts}`
  const advice = takenAdvice(host, hostname, service)
  return { relay: service, accepted: true, error: null, detail, advice, host }
}

function takenAdvice(host: ListedHost | null, hostname: string, relay: string): string {
  const next = `skein doctor ${hostname} --relay ${relay}`
  const status = host?.status ?? null
  if (status === null) return `Taken is not connected: in a minute, see ${next}`
  const advice: ReadonlyMap<string, string> = new Map([
    ['active', `It reads the host. Existing accounts show with their next event; see ${next}`],
    ['banned', 'It answers well and has banned the host: write to its operator.'],
    ['throttled', 'The host is over its limit of accounts there: ask its operator for more.'],
  ])
  return advice.get(status) ?? `It has not connected yet: in a minute, see ${next}`
}

function refusalAdvice({ code, retryAfterMs }: CallError, hostname: string): string {
  if (code === 'RateLimited') {
    const seconds = retryAfterMs === null ? null : Math.ceil(retryAfterMs / 1_000)
    const when = seconds === null ? 'later' : `in ${countOf(seconds, 'second')}`
    return `The relay takes no more new hosts for now: ask again ${when}.`
  }
  if (code === 'HostNotFound') {
    return `The relay could not reach the host: see skein doctor ${hostname}`
  }
  return ADVICE.get(code) ?? 'The relay did not answer well: ask again later, or another one.'
}

const CLOSED = 'The relay takes no requests from outside: ask its operator to add the host.'
const NO_RELAY = 'This service is no relay: name one with --relay.'
const ADVICE: ReadonlyMap<CallErrorCode, string> = new Map([
  ['HostBanned', 'Write to the operator of the relay: nothing that the host does changes this.'],
  ['Forbidden', CLOSED],
  ['AuthenticationRequired', CLOSED],
  [
    'InvalidRequest',
    'The relay does not accept this name: public ones on port 443 are, without a path.',
  ],
  ['MethodNotImplemented', NO_RELAY],
  ['NotFound', NO_RELAY],
])
