/**
 * @skyware/firehose. It verifies nothing and decodes every block. Its own reconnecting listens to
 * the closed socket again, so this wrapper does what its documentation leaves to users: on a close
 * it makes a new client with the old one's cursor.
 */

import { Firehose } from '@skyware/firehose'
import { WebSocket } from 'ws'

import { sleep } from '../net/wait.ts'
import { canonicalText } from './canonical.ts'
import type { ClientTarget, ForeignClient, Sighting } from './client.ts'

/** Pause before a new client is made, ms. */
const RECONNECT_DELAY_MS = 200

/** Starts a client that follows the live stream. */
export function startSkyware(target: ClientTarget): ForeignClient {
  return new SkywareClient(target.service)
}

class SkywareClient implements ForeignClient {
  readonly name = 'skyware'
  readonly order = 'seq'
  readonly delivery = 'once'
  readonly sightings: Sighting[] = []
  readonly errors: string[] = []
  readonly closeCodes: number[] = []
  readonly #service: string
  #firehose: Firehose
  #position = 0
  #stopped = false

  constructor(service: string) {
    this.#service = service
    this.#firehose = this.#connect('')
  }

  get position(): number {
    // Its cursor is the last frame parsed, which need not be the highest.
    return Math.max(this.#position, Number(this.#firehose.cursor))
  }

  stop(): Promise<void> {
    this.#stopped = true
    this.#firehose.close()
    return Promise.resolve()
  }

  #connect(cursor: string): Firehose {
    const firehose = new Firehose({
      relay: this.#service,
      ws: WebSocket,
      autoReconnect: false,
      cursor,
    })
    const take = (did: string, message: { readonly seq: number }): void => {
      const content = canonicalText({ ...message, seq: undefined })
      this.sightings.push({ seq: message.seq, did, content })
      this.#position = Math.max(this.#position, message.seq)
    }
    firehose.on('commit', (message) => take(message.repo, message))
    firehose.on('sync', (message) => take(message.did, message))
    firehose.on('identity', (message) => take(message.did, message))
    firehose.on('account', (message) => take(message.did, message))
    firehose.on('unknown', (message) => {
      this.errors.push(`an unknown message: ${JSON.stringify(message)}`)
    })
    firehose.on('error', ({ error }) => {
      this.errors.push(error.message)
    })
    // Without a listener a failed connection would throw; a close follows it.
    firehose.on('websocketError', () => undefined)
    firehose.on('close', () => {
      if (!this.#stopped) void this.#reconnect()
    })
    // The emitter hides the code of the close.
    firehose.ws.addEventListener('close', (event) => {
      this.closeCodes.push(event.code)
    })
    firehose.start()
    return firehose
  }

  async #reconnect(): Promise<void> {
    await sleep(RECONNECT_DELAY_MS)
    if (!this.#stopped) {
      this.#firehose = this.#connect(this.position === 0 ? '' : String(this.position))
    }
  }
}
