import assert from 'node:assert/strict'
import { rmSync, statSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import Database from 'better-sqlite3'
import type { CheckpointPass } from './checkpoint-worker.ts'
import { Checkpointer } from './checkpointer.ts'
import { type Connection, openDatabase } from './database.ts'
import { RELAY_SCHEMA } from './schemas.ts'
import { temporaryFile } from './testing/temporary-file.ts'

function putSettings(connection: Connection, round: number): void {
  const put = connection.prepare('insert or replace into setting (name, value) values (?, ?)')
  connection.transaction(() => {
    for (let i = 0; i < 2_000; i++) put.run(`setting ${i} ${'x'.repeat(200)}`, round)
  })()
}

interface Setup extends AsyncDisposable {
  readonly file: string
  readonly connection: Connection
  readonly checkpointer: Checkpointer
  readonly passes: CheckpointPass[]
  /** Resolves at the next pass, or failure. */
  next(): Promise<void>
}

async function setUp(file: string, pages: { pass: number; restart: number }): Promise<Setup> {
  const database = await openDatabase(file, RELAY_SCHEMA)
  const { connection } = database
  connection.pragma('wal_checkpoint(TRUNCATE)')
  const passes: CheckpointPass[] = []
  let wake = Promise.withResolvers<void>()
  const told = (): void => {
    wake.resolve()
    wake = Promise.withResolvers<void>()
  }
  const checkpointer = new Checkpointer({
    file,
    connection,
    passPages: pages.pass,
    restartPages: pages.restart,
    onPass: (pass) => {
      passes.push(pass)
      told()
    },
    onFailed: told,
  })
  return {
    file,
    connection,
    checkpointer,
    passes,
    next: () => wake.promise,
    async [Symbol.asyncDispose]() {
      await checkpointer.close()
      database.close()
    },
  }
}

test('the write-ahead log is carried over by another thread, and begins anew', async (t) => {
  const file = temporaryFile(t)
  await using setup = await setUp(file, { pass: 50, restart: 1_000_000 })
  const { connection, checkpointer, passes } = setup
  let longest = 0
  for (let round = 1; round <= 8; round++) {
    putSettings(connection, round)
    const passed = setup.next()
    checkpointer.note()
    // Asked again before the thread has answered: one pass at a time.
    checkpointer.note()
    await passed
    longest = Math.max(longest, statSync(`${file}-wal`).size)
  }
  assert.equal(passes.length, 8)
  for (const { pages, checkpointed, held } of passes) {
    assert.ok(pages >= 50)
    assert.equal(checkpointed, pages, 'nobody wrote meanwhile, so all of it went')
    assert.equal(held, false)
  }
  const [first] = passes
  assert.ok(first !== undefined && longest < first.pages * 3 * 4_200, 'it does not grow by rounds')
  // What the file alone holds, without its write-ahead log.
  const copy = `${file}.copy`
  connection.exec(`vacuum into '${copy}'`)
  const reader = new Database(copy, { readonly: true })
  assert.equal(reader.prepare('select count(*) from setting where value = 8').pluck().get(), 2_000)
  reader.close()
})

test('little is left alone, and no thread is started for it', async (t) => {
  await using setup = await setUp(temporaryFile(t), { pass: 1_000_000, restart: 1_000_000 })
  putSettings(setup.connection, 1)
  const before = process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length
  setup.checkpointer.note()
  const after = process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length
  assert.equal(after, before)
  assert.deepEqual(setup.passes, [])
})

/** Resolves when somebody else has the lock of writers. */
async function untilWriterIsHeld(connection: Connection): Promise<void> {
  const before = connection.pragma('busy_timeout', { simple: true })
  connection.pragma('busy_timeout = 0')
  for (;;) {
    try {
      connection.exec('begin immediate')
      connection.exec('rollback')
    } catch (error) {
      assert.match(String(error), /locked/u)
      break
    }
    await setTimeout(2)
  }
  connection.pragma(`busy_timeout = ${String(before)}`)
}

test('a long log is carried over to its end, if need be by holding up the writer', async (t) => {
  const file = temporaryFile(t)
  await using setup = await setUp(file, { pass: 50, restart: 50 })
  const { connection, checkpointer, passes } = setup
  // A reader at an old state keeps passes from finishing.
  const reader = new Database(file, { readonly: true })
  reader.exec('begin')
  reader.prepare('select count(*) from setting').get()
  putSettings(connection, 1)
  const blocked = setup.next()
  checkpointer.note()
  await untilWriterIsHeld(connection)
  reader.exec('commit')
  await blocked
  assert.deepEqual(
    passes.map(({ held }) => held),
    [true],
  )
  const [pass] = passes
  assert.ok(pass !== undefined)
  assert.equal(pass.checkpointed, pass.pages)
  reader.close()
  const size = statSync(`${file}-wal`).size
  putSettings(connection, 2)
  assert.ok(statSync(`${file}-wal`).size <= size * 1.5, 'the next writer began it anew')
})

test('a thread that fails is reported once, and writing goes on', async (t) => {
  const file = temporaryFile(t)
  const database = await openDatabase(file, RELAY_SCHEMA)
  const { connection } = database
  t.after(() => database.close())
  const failures: unknown[] = []
  const failed = Promise.withResolvers<void>()
  const checkpointer = new Checkpointer({
    file: `${file}.missing`,
    connection,
    passPages: 1,
    onFailed: (error) => {
      failures.push(error)
      failed.resolve()
    },
  })
  putSettings(connection, 1)
  checkpointer.note()
  await failed.promise
  putSettings(connection, 2)
  checkpointer.note()
  await checkpointer.close()
  assert.equal(failures.length, 1)
  assert.equal(
    connection.prepare('select count(*) from setting where value = 2').pluck().get(),
    2_000,
  )
  rmSync(`${file}.missing`, { force: true })
})
