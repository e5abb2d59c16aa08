/** Writes of tests. */
import type { RepoWrite } from '../../../test/support/signed-repo.ts'

export function record(text: string): object {
  return { $type: 'org.example.note', text }
}

export function create(key: string, collection = 'org.example.note'): RepoWrite {
  return { action: 'create', path: `${collection}/${key}`, record: record(key) }
}

export function update(key: string, text: string): RepoWrite {
  return { action: 'update', path: `org.example.note/${key}`, record: record(text) }
}

export function remove(key: string): RepoWrite {
  return { action: 'delete', path: `org.example.note/${key}` }
}
