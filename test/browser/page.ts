/** What a page, or a worker, does with the bundle. Answers are plain data. */
import { isCallError } from '../../src/client/calls/call-error.ts'
import { decodeEvent } from '../../src/client/events/decode-event.ts'
import { fromJSON, toJSON } from '../../src/client/events/event-json.ts'
import type { SyncEvent } from '../../src/client/events/events.ts'
import { SyncClient } from '../../src/client/calls/sync-client.ts'
import { loadVerifier } from '../../src/crypto/verifier.ts'
import { createWebIdentityResolver } from '../../src/identity/web-network.ts'
import { bytesEqual } from '../../src/lib/bytes.ts'
import { verifyCommit } from '../../src/repo/verify.ts'

/** Where the services of the test are. */
export interface Services {
  readonly service: string
  readonly plc: string
}

function clientOf({ service, plc }: Services): SyncClient {
  const identities = identitiesOf(plc)
  return new SyncClient(service, { identities, allowPrivateNetwork: true, retry: 'never' })
}

function identitiesOf(plc: string): ReturnType<typeof createWebIdentityResolver> {
  return createWebIdentityResolver({ plcDirectories: [plc], allowPrivateNetwork: true })
}

/** A record with its proof checked: its text and how often WebCrypto was asked. */
export async function provenText(
  services: Services,
  did: string,
  path: string,
): Promise<{ readonly text: unknown; readonly webCryptoCalls: number }> {
  const [collection = '', rkey = ''] = path.split('/')
  const { subtle } = globalThis.crypto
  const original = subtle.verify.bind(subtle)
  let webCryptoCalls = 0
  subtle.verify = (...asked) => {
    webCryptoCalls++
    return original(...asked)
  }
  try {
    const { record } = await clientOf(services).verified.getRecord({ did, collection, rkey })
    return { text: record?.valid ? record.value['text'] : null, webCryptoCalls }
  } finally {
    subtle.verify = original
  }
}

/** The code of the error that a proof ends with; null when it holds. */
export async function proofError(
  services: Services,
  did: string,
  path: string,
): Promise<string | null> {
  try {
    await provenText(services, did, path)
    return null
  } catch (thrown) {
    return isCallError(thrown) ? thrown.code : String(thrown)
  }
}

/** Paths of a verified repository. */
export async function repoPaths(services: Services, did: string): Promise<string[]> {
  const { records } = await clientOf(services).verified.getRepo({ did })
  const paths: string[] = []
  for await (const { path } of records) paths.push(path)
  return paths
}

/** What is said of one event of a stream. */
export interface SeenEvent {
  readonly type: string
  readonly did: string | null
  /** The verdict on a commit, by the key of its DID document. */
  readonly verdict: string | null
  readonly paths: readonly string[]
  /** Whether the event came back from JSON as the same bytes. */
  readonly survivesJson: boolean
}

/** The events of a stream from its oldest until each account has been seen to write `path`. */
export async function eventsUntil(
  services: Services,
  dids: readonly string[],
  path: string,
): Promise<SeenEvent[]> {
  const seen: SeenEvent[] = []
  const awaited = new Set(dids)
  for await (const event of clientOf(services).subscribeRepos({ cursor: 0 })) {
    const next = await seenOf(event, services.plc)
    seen.push(next)
    if (next.did !== null && next.paths.includes(path)) awaited.delete(next.did)
    if (awaited.size === 0) break
  }
  return seen
}

async function seenOf(event: SyncEvent, plc: string): Promise<SeenEvent> {
  const again = fromJSON(JSON.parse(JSON.stringify(toJSON(event))))
  const isCommit = event.type === '#commit'
  return {
    type: event.type,
    did: 'did' in event ? event.did : null,
    verdict: isCommit ? await verdictOn(event.bytes, plc) : null,
    paths: isCommit ? event.ops.map(({ path }) => path) : [],
    survivesJson: again.ok && bytesEqual(again.value.bytes, event.bytes),
  }
}

async function verdictOn(frame: Uint8Array, plc: string): Promise<string> {
  const decoded = decodeEvent(frame)
  if (!decoded.ok || decoded.value.type !== '#commit') return 'no commit'
  const { did, body } = decoded.value
  const resolved = await identitiesOf(plc).resolve(did)
  if (!resolved.ok || resolved.identity.signingKey === null) return 'no key'
  const verifier = await loadVerifier()
  const key = resolved.identity.signingKey
  const verdict = verifyCommit(body, { key, verifier, nowMs: Date.now() })
  return verdict.ok ? 'ok' : verdict.reason
}

/** Everything at once, for a worker. */
export async function workerReport(
  services: Services,
  did: string,
  path: string,
): Promise<readonly unknown[]> {
  const { text } = await provenText(services, did, path)
  const events = await eventsUntil(services, [did], path)
  return ['document' in globalThis, text, events.at(-1)?.verdict]
}

interface WorkerLike {
  postMessage(question: unknown, transfer: readonly unknown[]): void
  addEventListener(
    type: 'message' | 'error',
    listener: (event: { readonly data?: unknown; readonly message?: string }) => void,
  ): void
}

/** What {@link workerReport} answers in a worker of its own, whose script is at `url`. */
export function askWorker(
  url: string,
  ...question: Parameters<typeof workerReport>
): Promise<unknown> {
  const { Worker } = globalThis as unknown as {
    readonly Worker: new (url: string, options: { readonly type: 'module' }) => WorkerLike
  }
  const worker = new Worker(url, { type: 'module' })
  return new Promise((resolve, reject) => {
    worker.addEventListener('message', ({ data }) => resolve(data))
    worker.addEventListener('error', ({ message }) => reject(new Error(message)))
    worker.postMessage(question, [])
  })
}
