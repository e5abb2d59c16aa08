/**
 * The last step of `npm run build`, after the compiler: completes `dist` and proves that it loads.
 *
 * - `dist/package.json` from src/package.json: what `#runtime` stands for;
 * - the command is made executable;
 * - every entry point that package.json names is there, with its types, and is imported.
 */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const ROOT = new URL('../', import.meta.url)

/** The part of package.json that names files. */
interface Manifest {
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, Target>>
}

/** A file, or one for each condition. */
type Target = string | { readonly [condition: string]: Target }

function readText(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8')
}

/** Source names become names of what the compiler made of them. */
function writeRuntimeMap(): void {
  const map = readText('src/package.json').replaceAll(/\.ts"/g, '.js"')
  for (const [, target = ''] of map.matchAll(/"(\.\/[^"]+\.js)"/g)) mustExist(`dist/${target}`)
  writeFileSync(new URL('dist/package.json', ROOT), map)
}

function mustExist(path: string): void {
  if (!existsSync(new URL(path, ROOT))) throw new Error(`build: ${path} is missing`)
}

function finishCommands(manifest: Manifest): void {
  for (const path of Object.values(manifest.bin)) {
    if (!readText(path).startsWith('#!')) throw new Error(`build: ${path} does not begin with #!`)
    chmodSync(new URL(path, ROOT), 0o755)
  }
}

/** The files of an entry point, whatever the condition. */
function filesOf(target: Target): readonly string[] {
  return typeof target === 'string' ? [target] : Object.values(target).flatMap(filesOf)
}

/** Imports each entry point; what it exports must not be nothing. Returns how many there are. */
async function checkExports(manifest: Manifest): Promise<number> {
  let count = 0
  for (const [name, target] of Object.entries(manifest.exports)) {
    const files = filesOf(target)
    for (const path of files) mustExist(path)
    for (const path of files.filter((file) => file.endsWith('.js'))) {
      const module: unknown = await import(new URL(path, ROOT).href)
      if (Object.keys(Object(module)).length === 0)
        throw new Error(`build: ${name} exports nothing`)
      count++
    }
  }
  return count
}

/** Runs the work; the process ends with 1 when something is not as it must be. */
async function main(): Promise<void> {
  const manifest = JSON.parse(readText('package.json')) as Manifest
  writeRuntimeMap()
  finishCommands(manifest)
  const count = await checkExports(manifest)
  process.stdout.write(`dist: ${count} entry points load\n`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
