import assert from 'node:assert/strict'
import { test } from 'node:test'

import { changeAccount, CHANGES, CHANGES_OF_A_TURN } from './account-changes.ts'
import { must } from '../lib/assert.ts'
import { parseFrame } from '../stream/frame.ts'
import { streamOf } from './distributions.ts'
import { Liar, LIES } from './lies.ts'
import { Simulation } from './simulation.ts'
import { Turns } from './turns.ts'

const ACCOUNTS = 40
const TURNS = 45
/** Ends and returns of one turn may come in any order: so many accounts more or less at its end. */
const SWING = 4

function start(): Simulation {
  return new Simulation({
    seed: 4,
    endpoints: ['http://localhost:1', 'http://localhost:2', 'http://localhost:3'],
    accounts: ACCOUNTS,
    records: 10,
    rate: 50,
    startMs: Date.UTC(2026, 0, 1),
    backlogBytesMax: 8 * 1024 * 1024,
  })
}

function active(sim: Simulation): number {
  return sim.accounts.filter(({ status }) => status === 'active').length
}

/** Makes changes, each in its turn, and some traffic between them. */
function live(sim: Simulation, turns: number, afterTurn: () => void): Set<string> {
  const random = streamOf(4, 'changes')
  const order = new Turns(random, CHANGES_OF_A_TURN)
  const made = new Set<string>()
  for (let turn = 0; turn < turns; turn++) {
    for (let i = 0; i < CHANGES_OF_A_TURN.length; i++) {
      sim.advanceTo(sim.nextArrivalMs())
      sim.traffic()
      const kind = order.next()
      if (changeAccount(sim, random, kind)) made.add(kind)
    }
    afterTurn()
  }
  return made
}

function turnsOf(...kinds: readonly string[]): number {
  return CHANGES_OF_A_TURN.filter((kind) => kinds.includes(kind)).length
}

test('a turn ends as many accounts as it begins', () => {
  assert.equal(turnsOf('takedown', 'delete'), turnsOf('create'))
  assert.equal(turnsOf('deactivate', 'suspend'), turnsOf('reactivate'))
  assert.deepEqual(
    CHANGES.filter((kind) => turnsOf(kind) === 0),
    [],
  )
})

test('after any number of changes there are about as many active accounts as at first', () => {
  const sim = start()
  const counts: number[] = []
  const made = live(sim, TURNS, () => counts.push(active(sim)))
  assert.deepEqual([...made].toSorted(), CHANGES.toSorted())
  const [least, most] = [Math.min(...counts), Math.max(...counts)]
  assert.ok(least >= ACCOUNTS - SWING && most <= ACCOUNTS + SWING, `${least} to ${most}`)
  // So many have come and gone that hardly one is left of those who were there.
  assert.ok(sim.accounts.length > ACCOUNTS * 2.5, `${sim.accounts.length} accounts`)
  const gone = sim.accounts.filter(({ status }) => ['takendown', 'deleted'].includes(status))
  assert.ok(gone.length > ACCOUNTS * 1.5, `${gone.length} are gone`)
})

test('new accounts take the places of those that are gone, and write as much', () => {
  const sim = start()
  const shareOfBusiest = (): number => {
    const authors = new Map<string, number>()
    const after = sim.hosts.map(({ log }) => log.publishedSeq)
    for (let i = 0; i < 700; i++) {
      sim.advanceTo(sim.nextArrivalMs())
      sim.traffic()
    }
    for (const { log, index } of sim.hosts) {
      for (let next = log.after(must(after[index], 'seq')); next !== null;) {
        const parsed = parseFrame(next.data as Uint8Array)
        assert(parsed.ok && parsed.value.kind === 'message')
        if (parsed.value.type === '#commit') {
          const { repo } = parsed.value.body
          authors.set(repo, (authors.get(repo) ?? 0) + 1)
        }
        next = log.after(next.seq)
      }
    }
    const counts = [...authors.values()].toSorted((a, b) => b - a)
    const total = counts.reduce((sum, count) => sum + count, 0)
    assert.ok(counts.length > ACCOUNTS * 0.7, `${counts.length} authors`)
    return counts.slice(0, 4).reduce((sum, count) => sum + count, 0) / total
  }
  const before = shareOfBusiest()
  live(sim, TURNS, () => undefined)
  assert.ok(Math.abs(shareOfBusiest() - before) < 0.1)
  const places = sim.accounts.filter(({ status }) => status === 'active').map(({ place }) => place)
  assert.equal(new Set(places).size, places.length, 'nobody shares a place')
  assert.ok(sim.places <= ACCOUNTS + SWING * 2, `${sim.places} places`)
  const liar = new Liar(streamOf(4, 'lies'))
  const told = new Set(LIES.map(() => must(liar.tell(sim), 'lie').name))
  assert.equal(told.size, LIES.length)
})
