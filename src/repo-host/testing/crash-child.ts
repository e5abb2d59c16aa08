/**
 * A host that is to be killed: opens the directory of its first argument, writes without end, and
 * says what it was told is done. The second argument says where it kills itself, if anywhere.
 */
import { randomInt } from 'node:crypto'
import { systemClock, type Clock } from '../../lib/clock.ts'
import { RepoHost } from '../repo-host.ts'
import { didOf, good, keyOf } from './test-host.ts'

const [directory = '', point = 'never', after = '0'] = process.argv.slice(2)

const die = (): void => void process.kill(process.pid, 'SIGKILL')

/** Inside transactions the time is asked for once a commit: dies at one of those. */
let asked = 0
const clock: Clock = {
  ...systemClock,
  nowMs() {
    if (point === 'in-transaction' && ++asked === Number(after)) die()
    return systemClock.nowMs()
  },
}

const host = await RepoHost.open({ directory, clock, clockId: 5 })
const append = host.log.append.bind(host.log)
let appends = 0
host.log.append = async (batch) => {
  const isLast = ++appends === Number(after)
  if (isLast && point === 'before-append') die()
  await append(batch)
  if (isLast && point === 'after-append') die()
}

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const dids = ['a', 'b', 'c'].map(didOf)
for (const did of dids) {
  if (host.status(did) === null) good(await host.createAccount({ did, key: keyOf(did) }))
}
say('ready')
const writer = async (did: string): Promise<void> => {
  for (let n = 0; ; n++) {
    const path = `org.example.note/${randomInt(40)}`
    const answer =
      randomInt(4) === 0
        ? await host.deleteRecord(did, path)
        : await host.putRecord(did, path, { record: { n, text: 'x'.repeat(randomInt(500)) } })
    const { commit } = good(answer)
    if (commit !== null) say(`done ${did} ${commit.rev}`)
  }
}
await Promise.all(dids.flatMap((did) => [writer(did), writer(did)]))
