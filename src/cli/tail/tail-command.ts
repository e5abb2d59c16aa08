/** `skein tail`: a stream as it comes, or verified, until somebody stops it. */

import type { ConsumerFilter, WantedType } from '../../client/consumer/consumer-types.ts'
import { parseService } from '../../client/calls/service.ts'
import { systemClock } from '../../lib/clock.ts'
import { SkeinError } from '../../lib/errors.ts'
import type { CommandCall } from '../shared/command.ts'
import { given } from '../shared/common-options.ts'
import { EXIT } from '../io.ts'
import { type RELAYS_OPTION, relaysOf, type TAIL_OPTIONS } from '../network/network-options.ts'
import { didOf, parseAccount } from '../shared/targets.ts'
import { PlaceFile, parseTailStart, type TailStart } from './tail-place.ts'
import { readRaw } from './tail-raw.ts'
import { TailScreen } from './tail-screen.ts'
import { readVerified } from './tail-verified.ts'
import type { Session } from '../shared/session.ts'

type TailCall = CommandCall<typeof TAIL_OPTIONS & typeof RELAYS_OPTION>

/** What both ways of reading are given. */
export interface TailRead {
  /** Origin of the service. */
  readonly service: string
  readonly start: TailStart
  readonly file: PlaceFile | null
  readonly filter: ConsumerFilter
  readonly session: Session
  readonly screen: TailScreen
  /** Aborts when there has been enough. */
  readonly signal: AbortSignal
}

/** Runs `skein tail`; the end that was asked for is a success. */
export async function runTail(call: TailCall): Promise<number> {
  const { io, output, options, session, signal } = call
  const service = call.words[0] ?? relaysOf(options.relays)[0]
  if (service === undefined) {
    throw new SkeinError('OPTION_INVALID', 'options: tail needs a service or --relay')
  }
  const { origin } = parseService(service)
  const start = parseTailStart(options.cursor)
  const file = start.kind === 'file' ? new PlaceFile(start.path) : null
  await file?.load()
  const filter = await filterOf(session, options)
  const enough = new AbortController()
  const ended = AbortSignal.any([signal, enough.signal])
  const records = options.records ? 'shown' : 'left'
  using screen = new TailScreen(io, output, { records, countMax: options.count, enough })
  const timer =
    options.duration === 0 ? null : systemClock.after(options.duration, () => enough.abort())
  try {
    const read: TailRead = { service: origin, start, file, filter, session, screen, signal: ended }
    await (options.verify ? readVerified(read) : readRaw(read))
  } finally {
    timer?.cancel()
    screen.end()
  }
  if (!io.outputClosed.aborted) screen.farewell(file)
  const isWell = screen.failure === null && (screen.hasBeenReached || signal.aborted)
  return isWell ? EXIT.ok : EXIT.failure
}

const TYPES: ReadonlyMap<string, WantedType> = new Map([
  ['commit', '#commit'],
  ['sync', '#sync'],
  ['identity', '#identity'],
  ['account', '#account'],
  ['info', '#info'],
  ['other', 'other'],
])

async function filterOf(session: Session, options: TailCall['options']): Promise<ConsumerFilter> {
  const [accounts, collections, types] = [options.did, options.collection, options.type].map(
    (text) =>
      given(text)
        ?.split(',')
        .flatMap((word) => word.trim() || []),
  )
  const dids: string[] = []
  for (const account of accounts ?? []) {
    dids.push((await didOf(session, parseAccount(account))).did)
  }
  const wanted = types?.map((word) => {
    const type = TYPES.get(word.replace(/^#/, ''))
    if (type !== undefined) return type
    throw new SkeinError('OPTION_INVALID', `options: --type has no ${JSON.stringify(word)}`, {
      allowed: [...TYPES.keys()].join(', '),
    })
  })
  return {
    ...(accounts === undefined ? {} : { dids }),
    ...(collections === undefined ? {} : { collections }),
    // Collections are of commits: nothing else touches them.
    ...(wanted === undefined && collections === undefined ? {} : { types: wanted ?? ['#commit'] }),
  }
}
