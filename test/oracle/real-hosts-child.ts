/**
 * A real host as a process of its own, which can be killed: `node real-hosts-child.ts <directory>
 * <port>`, commands and answers over the channel to its parent. It ends when its parent does, or by
 * SIGTERM, then in order.
 */
import { PrivateKey } from '../../src/crypto/private-key.ts'
import { parseDidKey } from '../../src/crypto/public-key.ts'
import { loadVerifier } from '../../src/crypto/verifier.ts'
import { must } from '../../src/lib/assert.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { messageOf } from '../../src/lib/errors.ts'
import { startHost } from '../../src/server/start-host.ts'
import type { ChildMessage, HostAnswer, HostCall, SentCall, SentKey } from './real-hosts-calls.ts'

/** Most CIDs in one answer: more than the oracle ever uploads to one account. */
const MISSING_MAX = 10_000

const [directory = '', port = '0'] = process.argv.slice(2)
const running = await startHost({
  directory,
  bind: { host: '127.0.0.1', port: Number(port) },
  requestsPerMinute: 1_000_000,
})
const { host } = running
const verifier = await loadVerifier()

function keyOf({ curve, secret }: SentKey): PrivateKey {
  return PrivateKey.import(curve, secret)
}

async function open(url: string): Promise<Response & { readonly body: object }> {
  const response = await fetch(url)
  if (response.status !== 200) throw new Error(`${url}: ${response.status}`)
  return response as Response & { readonly body: object }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

function unreachable(call: never): never {
  throw new Error(`no such call: ${JSON.stringify(call)}`)
}

/** Answers of RepoHost as they are: results, or values. */
async function run(call: HostCall): Promise<unknown> {
  switch (call.op) {
    case 'createAccount':
      return host.createAccount({ ...call, key: keyOf(call.key) })
    case 'setStatus':
      return host.setStatus(call.did, call.status)
    case 'updateHandle':
      return host.updateHandle(call.did, call.handle)
    case 'rotateKey':
      return host.rotateKey(call.did, keyOf(call.key))
    case 'applyWrites': {
      const { did, writes, swapCommit } = call
      return host.applyWrites(did, writes, swapCommit === null ? {} : { swapCommit })
    }
    case 'importRepo': {
      const { body } = await open(call.url)
      const key = must(parseDidKey(call.signedBy), 'did:key')
      return host.importRepo(call.did, must(body, 'body'), { signedBy: { key, verifier } })
    }
    case 'importCar':
      return host.importRepo(call.did, once(call.car))
    case 'uploadBlob':
      return host.uploadBlob(call.did, once(call.bytes), call.mimeType)
    case 'moveBlob': {
      const { body, headers } = await open(call.url)
      return host.uploadBlob(call.did, must(body, 'body'), headers.get('content-type') ?? '')
    }
    case 'missingBlobs':
      return host.missingBlobs(call.did, MISSING_MAX)
    case 'collectGarbage':
      return host.collectGarbage(systemClock.nowMs() + call.aheadMs)
    case 'latestCommit':
      return host.latestCommit(call.did)
    case 'publishedSeq':
      return host.log.publishedSeq
    default:
      return unreachable(call)
  }
}

function isRefusal(
  value: unknown,
): value is { readonly ok: false; readonly reason: string; readonly detail: string } {
  return typeof value === 'object' && value !== null && 'ok' in value && value.ok === false
}

function isResult(value: unknown): value is { readonly ok: true; readonly value: unknown } {
  return typeof value === 'object' && value !== null && 'ok' in value && value.ok === true
}

async function answerTo(call: HostCall): Promise<HostAnswer> {
  try {
    const value = await run(call)
    if (isRefusal(value)) return { kind: 'refused', reason: value.reason, detail: value.detail }
    return { kind: 'done', value: isResult(value) ? value.value : value }
  } catch (error) {
    return { kind: 'failed', message: messageOf(error) }
  }
}

function say(message: ChildMessage): void {
  process.send?.(message)
}

process.on('message', (message: SentCall) => {
  const { id, call } = message
  void answerTo(call).then((answer) => say({ id, answer }))
})
const stop = (): void => {
  void running.stop().then(() => process.disconnect?.())
}
process.once('SIGTERM', stop)
process.once('disconnect', () => process.exit())
say({ ready: { address: running.address } })
