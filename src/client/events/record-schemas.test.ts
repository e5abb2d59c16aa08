import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import * as v from '@atcute/lexicons/validations'

import { decodeEvent } from './decode-event.ts'
import type { CommitEvent, RecordOutcome, RecordValue } from './events.ts'
import {
  anyRecord,
  type OtherCollection,
  type RecordOf,
  RecordSchemas,
  type StandardSchema,
  type TypedOperation,
} from './record-schemas.ts'
import { blockOf, commitFrame, createOp } from '../testing/event-frames.ts'

/** A schema of another library. */
const noteSchema = v.record(
  v.tidString(),
  v.object({ $type: v.literal('org.example.note'), text: v.string(), n: v.optional(v.integer()) }),
)

interface Like {
  readonly subject: string
}

/** A schema by hand, which transforms. */
const likeSchema: StandardSchema<Like> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate(value) {
      const { subject } = value as { readonly subject?: unknown }
      if (typeof subject === 'string') return { value: { subject: subject.toUpperCase() } }
      return { issues: [{ message: 'no subject', path: ['a', { key: 'subject' }, 0] }] }
    },
  },
}

const slowSchema: StandardSchema<Like> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    async validate(value) {
      await Promise.resolve()
      if (Object(value).subject === 'throw') throw new Error('validator broke')
      return likeSchema['~standard'].validate(value)
    },
  },
}

const throwing: StandardSchema<Like> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate() {
      throw new Error('validator broke')
    },
  },
}

const SCHEMAS = {
  'org.example.note': noteSchema,
  'org.example.like': likeSchema,
  'org.example.any': anyRecord,
}

function commit(...records: readonly (readonly [string, object])[]): CommitEvent {
  const blocks = records.map(([, record]) => blockOf(record))
  const ops = records.map(([path], i) => createOp(path, blocks[i] ?? assert.fail()))
  const deletion = { action: 'delete', path: 'org.example.note/gone', cid: null }
  const decoded = decodeEvent(commitFrame(blocks, [...ops, deletion]))
  assert.ok(decoded.ok && decoded.value.type === '#commit')
  return decoded.value
}

const GOOD = commit(
  ['org.example.note/1', { $type: 'org.example.note', text: 'one' }],
  ['org.example.like/1', { subject: 'two' }],
  ['org.example.other/1', { three: 3 }],
)

/** Two of these are assignable to each other only when their parameters are the same type. */
type Same<A> = <T>(value: T) => T extends A ? [T, 1] : [T, 2]
type Equal<A, B> = Same<A> extends Same<B> ? true : false

/** Compiles only where it is given `true`. */
function holds<Claim extends true>(claim: Claim): Claim {
  return claim
}

describe('types', () => {
  type Note = RecordOf<typeof noteSchema>
  type Op = TypedOperation<typeof SCHEMAS>

  test('what a schema accepts is inferred from it', () => {
    holds<Equal<Note['text'], string>>(true)
    holds<Equal<Note['n'], number | undefined>>(true)
    holds<Equal<RecordOf<typeof likeSchema>, Like>>(true)
    holds<Equal<RecordOf<typeof anyRecord>, RecordValue>>(true)
    holds<
      Equal<
        Op['collection'],
        'org.example.note' | 'org.example.like' | 'org.example.any' | OtherCollection
      >
    >(true)
  })

  test('comparing the collection narrows the record', () => {
    const records = new RecordSchemas(SCHEMAS)
    const seen: string[] = []
    for (const op of records.commit(GOOD).ops) {
      if (op.collection === 'org.example.note') {
        holds<Equal<typeof op.record, RecordOutcome<Note> | null>>(true)
        if (op.record?.valid) seen.push(op.record.value.text)
      } else if (op.collection === 'org.example.like') {
        holds<Equal<typeof op.record, RecordOutcome<Like> | null>>(true)
        if (op.record?.valid) seen.push(op.record.value.subject)
      } else {
        holds<Equal<typeof op.record, RecordOutcome<RecordValue> | null>>(true)
        if (op.record?.valid) seen.push(String(op.record.value['three']))
      }
    }
    assert.deepEqual(seen, ['one', 'TWO', '3'])
  })

  test('a switch narrows too', () => {
    const [op] = new RecordSchemas(SCHEMAS).commit(GOOD).ops
    assert.ok(op !== undefined)
    switch (op.collection) {
      case 'org.example.note':
        holds<Equal<typeof op.record, RecordOutcome<Note> | null>>(true)
        break
      case 'org.example.like':
      case 'org.example.any':
        assert.fail()
      default:
        holds<Equal<typeof op.collection, OtherCollection>>(true)
        assert.fail()
    }
  })
})

describe('records', () => {
  const records = new RecordSchemas(SCHEMAS)
  const outcome = (event: CommitEvent): TypedOperation<typeof SCHEMAS>['record'] =>
    (records.commit(event).ops[0] ?? assert.fail()).record

  test('the rest of an operation is as it was', () => {
    for (const [i, op] of records.commit(GOOD).ops.entries()) {
      const plain = GOOD.ops[i] ?? assert.fail()
      const { action, path, collection, rkey, cid, prev, recordBytes } = op
      assert.deepEqual(
        { action, path, collection, rkey, cid, prev, recordBytes },
        {
          action: plain.action,
          path: plain.path,
          collection: plain.collection,
          rkey: plain.rkey,
          cid: plain.cid,
          prev: plain.prev,
          recordBytes: plain.recordBytes,
        },
      )
    }
    const last = records.commit(GOOD).ops.at(-1)
    assert.deepEqual([last?.action, last?.record], ['delete', null])
  })

  test('one that a schema refuses is a branch, with issues', () => {
    assert.deepEqual(outcome(commit(['org.example.like/1', { object: 1 }])), {
      valid: false,
      reason: null,
      issues: [{ message: 'no subject', path: ['a', 'subject', 0] }],
      value: { object: 1 },
    })
    const note = outcome(commit(['org.example.note/1', { $type: 'org.example.note', text: 5 }]))
    assert.ok(note?.valid === false && note.reason === null)
    assert.deepEqual(note.issues[0]?.path, ['text'])
    assert.ok((note.issues[0]?.message ?? '') !== '')
  })

  test('one that cannot be read never comes to a schema', () => {
    const missing = blockOf({ subject: 'two' })
    const decoded = decodeEvent(commitFrame([], [createOp('org.example.like/1', missing)]))
    assert.ok(decoded.ok && decoded.value.type === '#commit')
    const record = outcome(decoded.value)
    assert.equal(record?.valid === false && record.reason, 'op-record-missing')
  })

  test('a validator that throws refuses the record', async () => {
    const broken = new RecordSchemas({ 'org.example.like': throwing })
    const event = commit(['org.example.like/1', { subject: 'two' }])
    const expected = {
      valid: false,
      reason: null,
      issues: [{ message: 'validator broke', path: [] }],
      value: { subject: 'two' },
    }
    assert.deepEqual(broken.commit(event).ops[0]?.record, expected)
    assert.deepEqual((await broken.commitAsync(event)).ops[0]?.record, expected)
  })

  test('each is validated once, and only when asked for', () => {
    let calls = 0
    const counting: StandardSchema<number> = {
      '~standard': { version: 1, vendor: 'test', validate: () => ({ value: ++calls }) },
    }
    const typed = new RecordSchemas({ 'org.example.like': counting }).commit(GOOD)
    const op = typed.ops[1]
    assert.equal(calls, 0)
    assert.deepEqual([op?.record, op?.record, calls], [{ valid: true, value: 1 }, op?.record, 1])
  })

  test('what a validator says is cut', () => {
    const talkative: StandardSchema = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: () => ({
          issues: Array.from({ length: 1_000 }, () => ({
            message: 'x'.repeat(10_000),
            path: Array.from({ length: 1_000 }, (_, i) => i),
          })),
        }),
      },
    }
    const typed = new RecordSchemas({ 'org.example.like': talkative }).commit(GOOD)
    const record = typed.ops[1]?.record
    assert.ok(record?.valid === false)
    assert.equal(record.issues.length, 32)
    assert.equal(record.issues[0]?.message.length, 512)
    assert.equal(record.issues[0]?.path.length, 128)
  })
})

describe('schemas that answer later', () => {
  const records = new RecordSchemas({ 'org.example.like': slowSchema })

  test('are refused where an answer is needed at once, and break nothing', async () => {
    const event = commit(
      ['org.example.like/1', { subject: 'throw' }],
      ['org.example.like/2', { subject: 'two' }],
    )
    const [broken, good] = records.commit(event).ops
    for (const op of [broken, good]) assert.throws(() => op?.record, { code: 'SCHEMA_ASYNC' })
    // A promise that nobody watches would end the process here.
    await new Promise((resolve) => setTimeout(resolve, 5))
  })

  test('are waited for on request', async () => {
    const event = commit(
      ['org.example.like/1', { subject: 'throw' }],
      ['org.example.like/2', { subject: 'two' }],
      ['org.example.like/3', {}],
      ['org.example.other/1', { three: 3 }],
    )
    const typed = await records.commitAsync(event)
    assert.deepEqual(
      typed.ops.map(({ record }) => (record?.valid ? record.value : (record?.issues ?? null))),
      [
        [{ message: 'validator broke', path: [] }],
        { subject: 'TWO' },
        [{ message: 'no subject', path: ['a', 'subject', 0] }],
        { three: 3 },
        null,
      ],
    )
    const op = await records.operationAsync(event.ops[1] ?? assert.fail())
    assert.deepEqual(op.record, { valid: true, value: { subject: 'TWO' } })
  })
})
