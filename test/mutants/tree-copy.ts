/** Copies of the repository to plant bugs in: the working tree itself is never touched. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs'
import { realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Mutant, mutate } from './mutant.ts'

/** One copy, and a directory for the temporary files of its tests. */
export interface TreeCopy {
  readonly root: string
  readonly temporary: string
}

/** Copies under one directory, which goes with them. */
export interface TreeCopies {
  readonly copies: readonly TreeCopy[]
  readonly remove: () => void
}

/** Paths of what belongs to the repository at `root`: tracked, or new and not ignored. */
export function repositoryFiles(root: string): readonly string[] {
  const flags = ['ls-files', '-z', '--cached', '--others', '--exclude-standard']
  const listed = execFileSync('git', flags, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 })
  // What has been deleted and not committed is still listed.
  return [...new Set(listed.split('\0'))].filter(
    (path) => path !== '' && existsSync(join(root, path)),
  )
}

/**
 * Makes `count` copies of `files`. Packages are those of the original, by a link, and the shared
 * directory beside the original stands beside each copy.
 */
export function copyTree(root: string, files: readonly string[], count: number): TreeCopies {
  const parent = realpathSync(mkdtempSync(join(tmpdir(), 'skein-mutants-')))
  const shared = join(root, '..', 'shared')
  if (existsSync(shared)) symlinkSync(realpathSync(shared), join(parent, 'shared'))
  const copies = Array.from({ length: count }, (_, at) => {
    const copy = join(parent, `tree-${at + 1}`)
    for (const path of files) {
      mkdirSync(dirname(join(copy, path)), { recursive: true })
      copyFileSync(join(root, path), join(copy, path))
    }
    const packages = join(root, 'node_modules')
    if (existsSync(packages)) symlinkSync(packages, join(copy, 'node_modules'))
    return { root: copy, temporary: join(parent, `tmp-${at + 1}`) }
  })
  const remove = (): void => {
    rmSync(parent, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  }
  return { copies, remove }
}

/** Plants a bug in a copy; returns what takes it out again. */
export function plant(mutant: Mutant, { root }: TreeCopy): () => void {
  const path = join(root, mutant.file)
  const text = readFileSync(path, 'utf8')
  writeFileSync(path, mutate(mutant, text))
  return () => writeFileSync(path, text)
}
