import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'

import { readRepositoryFile } from './source-files.ts'

type Service = {
  readonly image: string
  readonly build?: unknown
  readonly user?: string
  readonly command?: readonly string[]
  readonly healthcheck?: { readonly disable?: boolean; readonly test?: readonly string[] }
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
}

const composeText = readRepositoryFile('deploy/compose.yaml')
const compose = parse(composeText, { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>
}
const dockerfile = readRepositoryFile('deploy/Dockerfile').replaceAll('\\\n', ' ')
const schema = JSON.parse(readRepositoryFile('tools/vendored/compose-spec.json')) as object
// Formats and anchors of the schema are its own.
const isCompose = new Ajv({ strict: false, validateFormats: false, validateSchema: false }).compile({
  ...schema,
  $schema: undefined,
})

describe('the compose file', () => {
  test('is one by the published schema', () => {
    isCompose(compose)
    expect(isCompose.errors).toBeNull()
  })

  test('a setting that there is not, or of another kind, is found', () => {
    expect(isCompose({ services: { server: { healthcheck: { test: ['CMD'], intervall: '5s' } } } })).toBe(
      false,
    )
    expect(isCompose({ services: { server: { ports: '8787' } } })).toBe(false)
  })

  test('whatever stays up has a health check, of its own or of the image', () => {
    const imageHasOne = /^HEALTHCHECK .*CMD \[/m.test(dockerfile)
    const without = Object.entries(compose.services).filter(([, { healthcheck, build }]) =>
      healthcheck === undefined ? build === undefined || !imageHasOne : healthcheck.disable === true,
    )
    expect(without.map(([name]) => name)).toEqual(['migrate'])
  })

  test('nothing runs as root, and nothing secret has a value', () => {
    const users = [...dockerfile.matchAll(/^USER (\S+)/gm)].map(([, user]) => user)
    expect(users).toEqual(['node'])
    const asRoot = Object.entries(compose.services).filter(([, { user, build }]) => !user && !build)
    expect(asRoot.map(([name]) => name)).toEqual([])
    for (const [, name, value] of composeText.matchAll(/^ +(\w*(?:PASSWORD|SECRET)): *(\S+)/gm))
      expect(`${name}: ${value}`).toContain('${')
  })

  test('server and worker start after the database is prepared', () => {
    for (const name of ['server', 'worker'])
      expect(compose.services[name]?.depends_on).toMatchObject({
        migrate: { condition: 'service_completed_successfully' },
        redis: { condition: 'service_healthy' },
      })
  })
})
