/** Bundles parts of `src` as an application for browsers would. */
import { fileURLToPath } from 'node:url'

import { build, type BuildFailure } from 'esbuild'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** What came of bundling. */
export interface Bundle {
  /** Text of each file by its name, `client.js`; shared parts are `chunk-<hash>.js`. */
  readonly files: ReadonlyMap<string, string>
  /** Paths of all modules that went in, relative to the root. */
  readonly inputs: readonly string[]
  /** Modules that were left out, to be found at run time: there must be none. */
  readonly externals: readonly string[]
}

/**
 * Bundles modules with the conditions of a browser: `node` is not set. Rejects, with what is
 * missing, when one of them reaches a module of Node.
 *
 * @param entries Path of each entry, relative to the root, by the name of its file.
 */
export async function bundle(entries: Readonly<Record<string, string>>): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: { ...entries },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    outdir: 'bundle',
    chunkNames: 'chunk-[hash]',
    write: false,
    metafile: true,
    logLevel: 'silent',
  })
  const names = outputFiles.map(({ path, text }) => [path.replace(/^.*[\\/]/, ''), text] as const)
  const modules = Object.entries(metafile.inputs)
  return {
    files: new Map(names),
    inputs: modules.map(([path]) => path),
    externals: modules.flatMap(([path, { imports }]) =>
      imports.filter(({ external }) => external === true).map((found) => `${path}: ${found.path}`),
    ),
  }
}

/** What kept a bundle from being made; empty when `thrown` says nothing of it. */
export function bundleFaults(thrown: unknown): readonly string[] {
  const { errors = [] } = thrown as Partial<BuildFailure>
  return errors.map(({ text, location }) => `${location?.file ?? ''}: ${text}`)
}
