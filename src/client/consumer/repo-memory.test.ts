import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RepoRow } from '../../store/consumer-state.ts'
import { RepoMemory } from './repo-memory.ts'
import { unknownRepo } from './repo-states.ts'

const A = 'did:plc:a'
const B = 'did:plc:b'
const old: RepoRow = unknownRepo(A)
const news: RepoRow = { ...old, inactive: 'deactivated' }

/** A store over a network: it has `old`, and answers when it is told to. */
class HeldStore {
  asked = 0
  readonly #gate = Promise.withResolvers<void>()

  async repo(did: string): Promise<RepoRow | null> {
    this.asked++
    await this.#gate.promise
    return did === A ? old : null
  }

  answer(): void {
    this.#gate.resolve()
  }
}

test('I8: a row that is being written is what is known, however full the cache', async () => {
  const store = new HeldStore()
  const memory = new RepoMemory(store, 1)
  memory.put(news)
  assert.deepEqual([...(memory.take([])?.repos ?? [])], [news])
  memory.put(unknownRepo(B))
  assert.equal(memory.get(A), news, 'B has taken the only place in the cache')
  assert.equal(store.asked, 0)
  memory.settled()
  const read = memory.get(A)
  assert.equal(store.asked, 1, 'the store has it now')
  store.answer()
  assert.equal(await read, old)
})

test('I8: what becomes known while a row is read is not replaced by it', async () => {
  const store = new HeldStore()
  const memory = new RepoMemory(store, 10)
  const read = memory.get(A)
  memory.put(news)
  store.answer()
  assert.equal(await read, news)
  assert.equal(memory.get(A), news)
})
