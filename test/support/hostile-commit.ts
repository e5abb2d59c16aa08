/** Hostile commits, for tests of layers below src/sim. */
export * from '../../src/sim/hostile-commit.ts'
