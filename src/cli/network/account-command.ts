/** `skein account status`: one account as its document, its host and relays see it. */

import { formatMultikey } from '../../crypto/public-key.ts'
import type { Identity } from '../../identity/identity.ts'
import { type AccountView, askOnce, callFailure, statusText, viewAccount } from './account-view.ts'
import type { CommandCall } from '../shared/command.ts'
import { revMs } from '../doctor/doctor-account.ts'
import type { HandleOutcome } from '../shared/handle-resolver.ts'
import { EXIT } from '../io.ts'
import { type RELAYS_OPTION, relaysOf } from './network-options.ts'
import { cleanText, formatDuration } from '../shared/output.ts'
import { didOf, parseAccount } from '../shared/targets.ts'
import { SkeinError } from '../../lib/errors.ts'

/** A relay that is this near is not worth a word: the event is on its way. */
const NEAR_MS = 10_000

/** Runs `skein account status`. */
export async function runAccountStatus(call: CommandCall<typeof RELAYS_OPTION>): Promise<number> {
  const { output, session, options } = call
  const { did, outcome } = await didOf(session, parseAccount(call.words[0] ?? ''))
  const found = await session.identities.resolve(did, { signal: session.signal })
  session.signal.throwIfAborted()
  if (!found.ok) {
    const code = found.reason === 'identity-missing' ? 'NOT_THERE' : 'REQUEST_FAILED'
    throw new SkeinError(code, `resolve ${did}: ${found.detail}`, { reason: found.reason })
  }
  const { identity } = found
  const { handle, pdsEndpoint } = identity
  const back = handle === null ? null : await handleBack(call, handle, outcome)
  const handleWord = handleText(did, handle, back)
  const host = pdsEndpoint === null ? null : askOnce(session, pdsEndpoint, 'stranger')
  const views = await Promise.all([
    ...(host === null ? [] : [viewAccount(host, 'host', did)]),
    ...relaysOf(options.relays).map((relay) =>
      viewAccount(askOnce(session, relay, 'user'), 'relay', did),
    ),
  ])
  const remarks = differences(views, pdsEndpoint)
  if (output.isJson) {
    const isConfirmed = back?.did === did
    await output.json({
      did,
      handle,
      isHandleConfirmed: isConfirmed,
      host: pdsEndpoint,
      key: keyText(identity),
      isStale: found.stale,
      views: views.map((view) => ({ ...view, error: view.error?.code ?? null })),
      differences: remarks,
    })
  } else {
    await output.facts([
      ['did', did],
      ['handle', handleWord],
      ['host', pdsEndpoint ?? 'none that can be used'],
      ['key', keyText(identity) ?? 'none that can be used'],
      ['document', found.stale ? 'an old one: no directory answers' : null],
    ])
    await output.line()
    await output.table(
      [{ title: 'AT' }, { title: 'STATUS' }, { title: 'REV' }, { title: 'COMMIT' }],
      views.map((view) => [
        `${view.role} ${new URL(view.service).host}`,
        statusText(view),
        view.rev ?? '-',
        view.commit ?? '-',
      ]),
    )
    if (remarks.length > 0) await output.line()
    for (const remark of remarks) {
      await output.line(`${output.style('yellow', 'differs')}  ${cleanText(remark)}`)
    }
  }
  return exitCodeOf(views, remarks)
}

function keyText({ signingKey }: Identity): string | null {
  return signingKey === null ? null : `${signingKey.curve} ${formatMultikey(signingKey)}`
}

/** The handle of the document, looked up; what is known already is not asked for again. */
function handleBack(
  { session }: CommandCall<typeof RELAYS_OPTION>,
  handle: string,
  known: HandleOutcome | null,
): Promise<HandleOutcome> | HandleOutcome {
  return known?.handle === handle ? known : session.resolveHandle(handle)
}

function handleText(did: string, handle: string | null, back: HandleOutcome | null): string {
  if (handle === null || back === null) return 'the document claims none'
  if (back.did === did) return `${handle}, which leads back by ${back.via ?? ''}`
  if (back.did !== null) return `${handle}, but it leads to ${back.did}`
  return `${handle}, but it leads ${back.isFinal ? 'nowhere' : 'nowhere that answers'}`
}

/** What relays see otherwise than the host, each as a sentence with its likely cause. */
export function differences(views: readonly AccountView[], host: string | null): string[] {
  if (host === null) return ['the DID document names no host: relays drop its events']
  const own = views.find(({ role }) => role === 'host')
  if (own === undefined) return []
  if (own.status === 'unknown') return [`the host does not say: ${callFailure(own.error)}`]
  return views.flatMap((view) => {
    if (view.role === 'host') return []
    const word = differenceOf(own, view)
    return word === null ? [] : [`${new URL(view.service).host}: ${word}`]
  })
}

function differenceOf(own: AccountView, view: AccountView): string | null {
  const { status } = view
  if (status === 'unknown') return `no answer: ${callFailure(view.error)}`
  if (status !== own.status) return statusDifference(own.status, status)
  if (own.status !== 'active' || own.rev === null) return null
  if (view.rev === null) return 'it knows no commit: it has seen none since it knows the account'
  if (view.rev === own.rev) {
    const isOther = view.commit !== null && own.commit !== null && view.commit !== own.commit
    return isOther ? 'another commit for the same rev: the repository was rewritten' : null
  }
  const apartMs = revMs(own.rev) - revMs(view.rev)
  if (apartMs > NEAR_MS) {
    return `its rev is ${formatDuration(apartMs)} behind: it missed or refused newer commits`
  }
  if (apartMs < -NEAR_MS) {
    return `its rev is ${formatDuration(-apartMs)} ahead: the host has lost commits`
  }
  return null
}

function statusDifference(own: string, relay: string): string {
  if (own === 'active') {
    if (relay === 'not-found') return 'it does not know the account: it has seen no event of it'
    if (relay === 'throttled') return 'throttled: the host is over its limit of accounts there'
    if (relay === 'takendown') return 'taken down by the operator of the relay'
    return `${relay} there, active at the host: it missed an #account event`
  }
  if (relay === 'not-found') return `it does not know the account, which is ${own} at its host`
  return `${relay} there, ${own} at the host: it missed an #account event`
}

function exitCodeOf(views: readonly AccountView[], remarks: readonly string[]): number {
  const own = views.find(({ role }) => role === 'host')
  if (own?.status === 'unknown') return EXIT.failure
  if (own === undefined || own.status !== 'active') return EXIT.absent
  if (remarks.length === 0) return EXIT.ok
  const isSilence = views.every(({ status }) => status === 'active' || status === 'unknown')
  return isSilence && views.some(({ status }) => status === 'unknown')
    ? EXIT.failure
    : EXIT.unverified
}
