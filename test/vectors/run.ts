/**
 * `npm run vectors`: runs every suite over ../shared/vectors and prints what passed and what did
 * not.
 */
import { judge, SUITES } from './all-suites.ts'
import { findSharedDirectory } from './suite-result.ts'

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

async function main(): Promise<number> {
  const directory = findSharedDirectory()
  if (directory === null) {
    print('The vectors are absent (../shared/vectors): nothing was run.')
    return 0
  }
  const totals = { passed: 0, known: 0, unexpected: 0 }
  for (const run of Object.values(SUITES)) {
    for (const result of (await run(directory)).map(judge)) {
      print(`${result.name} ${result.passed}/${result.total}`)
      for (const { failure, reason } of result.known)
        print(`  differs  ${failure}\n           ${reason}`)
      for (const failure of result.unexpected) print(`  FAILED   ${failure}`)
      totals.passed += result.passed
      totals.known += result.known.length
      totals.unexpected += result.unexpected.length
    }
  }
  print(`${totals.known} known differences, each with its reason (docs/gotchas.md)`)
  print(`${totals.passed} passed, ${totals.unexpected} failed`)
  return totals.unexpected === 0 ? 0 : 1
}

process.exitCode = await main()
