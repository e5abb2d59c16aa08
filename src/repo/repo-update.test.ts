import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { randomWrites, SignedRepo } from '../../test/support/signed-repo.ts'
import { encodeCar } from '../data/car-stream.ts'
import { cidToString } from '../data/cid.ts'
import { must } from '../lib/assert.ts'
import { seededRandom } from '../lib/random.ts'
import { ok } from '../lib/result.ts'
import { RepoReadError } from './repo-reader.ts'
import { KnownTree, readRepoUpdate, type RepoUpdate, type UpdatedRecord } from './repo-update.ts'

interface State {
  readonly rev: string
  readonly records: ReadonlyMap<string, Uint8Array>
}

/** A repository and what it held at each of its revs. */
function grown(seed: number, commits = 12): { repo: SignedRepo; states: State[] } {
  const repo = new SignedRepo({ seed: `update ${seed}` })
  const random = seededRandom(seed)
  const states: State[] = []
  for (let i = 0; i < commits; i++) {
    repo.apply(randomWrites(repo, random, i === 0 ? 60 : 6))
    states.push({ rev: must(repo.head, 'head').rev, records: repo.records() })
  }
  return { repo, states }
}

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 700) yield bytes.subarray(at, at + 700)
}

const judge = () => Promise.resolve(ok(undefined))

function read(repo: SignedRepo, car: Uint8Array, bytesMax = 1e6): Promise<RepoUpdate> {
  return readRepoUpdate(inPieces(car), { did: repo.did, judge, bytesMax })
}

function treeOf({ records }: Pick<State, 'records'>): KnownTree {
  const tree = new KnownTree()
  for (const [path, cid] of records) tree.add(path, cid)
  return tree
}

const textOf = (cid: Uint8Array | null | undefined): string | null =>
  cid === null || cid === undefined ? null : cidToString(cid)

function told(changes: Iterable<UpdatedRecord>) {
  return [...changes].map(({ path, before, after }) => [path, textOf(before), textOf(after?.cid)])
}

/** The model: what differs between two maps. */
function between(before: State['records'], after: State['records']) {
  const paths = [...new Set([...before.keys(), ...after.keys()])].toSorted()
  return paths
    .map((path) => [path, textOf(before.get(path)), textOf(after.get(path))])
    .filter(([, was, is]) => was !== is)
}

/** The fault that something has. */
async function faultOf(work: () => unknown): Promise<string> {
  try {
    await work()
  } catch (error) {
    assert.ok(error instanceof RepoReadError, String(error))
    return `${error.fault} ${error.reason}`
  }
  return 'none'
}

describe('what is new since a rev', () => {
  it('over the tree of that rev gives what differs, with its records', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const { repo, states } = grown(seed)
        const now = must(states.at(-1), 'state')
        for (const then of states) {
          const update = await read(repo, repo.exportCar(then.rev))
          const changes = [...treeOf(then).changesTo(update)]
          assert.deepEqual(told(changes), between(then.records, now.records))
          for (const { after } of changes) {
            if (after !== null) assert.deepEqual(after.bytes, repo.block(after.cid).slice())
          }
        }
      }),
      { numRuns: 25 },
    )
  })

  it('over the empty tree is the whole repository', async () => {
    const { repo, states } = grown(1)
    const update = await read(repo, repo.exportCar())
    const changes = told(new KnownTree().changesTo(update))
    assert.deepEqual(changes, between(new Map(), must(states.at(-1), 'state').records))
  })

  it('says nothing that is not so over the tree of another rev', async () => {
    const outcomes = new Set<string>()
    for (let seed = 0; seed < 8; seed++) {
      const { repo, states } = grown(seed)
      const update = await read(repo, repo.exportCar(must(states[6], 'state').rev))
      for (const other of states) {
        const fault = await faultOf(() => {
          const changes = told(treeOf(other).changesTo(update))
          assert.deepEqual(changes, between(other.records, must(states.at(-1), 'state').records))
        })
        outcomes.add(fault)
      }
    }
    assert.deepEqual([...outcomes].toSorted(), [
      'none',
      'truncated mst-block-missing',
      'truncated op-record-missing',
    ])
  })

  it('without any one of its blocks is noticed before anything is given out', async () => {
    const { repo, states } = grown(3)
    const then = must(states[8], 'state')
    const blocks = [...repo.exportBlocks(then.rev)]
    const root = [must(repo.head, 'head').commit]
    const faults: string[] = []
    for (const left of blocks) {
      const car = encodeCar(
        root,
        blocks.filter((block) => block !== left),
      )
      faults.push(await faultOf(async () => treeOf(then).changesTo(await read(repo, car))))
    }
    assert.equal(faults[0], 'truncated car-root-missing')
    assert.deepEqual(
      new Set(faults.slice(1)),
      new Set(['truncated mst-block-missing', 'truncated op-record-missing']),
    )
  })

  it('may come in any order, with blocks that nobody needs', async () => {
    const { repo, states } = grown(4)
    const [then, now] = [must(states[2], 'state'), must(states.at(-1), 'state')]
    const root = [must(repo.head, 'head').commit]
    const blocks = [...repo.exportBlocks()].toReversed()
    const update = await read(repo, encodeCar(root, [...blocks, ...blocks]))
    assert.deepEqual(told(treeOf(then).changesTo(update)), between(then.records, now.records))
  })

  it('is refused when it is cut, altered, too large, or of another account', async () => {
    const { repo, states } = grown(5)
    const then = must(states[9], 'state')
    const car = repo.exportCar(then.rev)
    const all = async (bytes: Uint8Array): Promise<string> =>
      faultOf(async () => told(treeOf(then).changesTo(await read(repo, bytes))))
    assert.equal(await all(car), 'none')
    for (let at = 0; at < car.length; at += 7) {
      assert.notEqual(await all(car.subarray(0, at)), 'none', `cut at ${at}`)
      const altered = car.slice()
      altered[at] = (altered[at] as number) ^ 4
      assert.notEqual(await all(altered), 'none', `altered at ${at}`)
    }
    assert.equal(await faultOf(() => read(repo, car, 100)), 'too-large car-malformed')
    const other = new SignedRepo({ seed: 'other' })
    assert.equal(await faultOf(() => read(other, car)), 'invalid commit-did-mismatch')
    const refused = { ok: false, reason: 'signature-invalid', detail: '' } as const
    const refuse = () => Promise.resolve(refused)
    const unsigned = { did: repo.did, judge: refuse, bytesMax: 1e6 }
    const fault = await faultOf(() => readRepoUpdate(inPieces(car), unsigned))
    assert.equal(fault, 'invalid signature-invalid')
  })
})

it('a tree that is built again has the root of the commit', () => {
  const { repo } = grown(6)
  const { data } = must(repo.head, 'head')
  assert.deepEqual(treeOf({ records: repo.records() }).root(), data.slice())
})
