import { fileURLToPath } from 'node:url'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { builtStockroom } from './built-stockroom.ts'
import { type GivenStockroom, givenStockroom, type Page } from './given-stockroom.ts'

const axe = fileURLToPath(import.meta.resolve('axe-core/axe.min.js'))

let given: GivenStockroom
let page: Page
beforeAll(async () => {
  given = await givenStockroom(await builtStockroom())
  page = await given.context.newPage()
  page.setDefaultTimeout(120_000)
  await page.goto(`${given.url}/app/`)
  await page.getByText('Who is working?').waitFor()
  await page.addScriptTag({ path: axe })
}, 300_000)
afterAll(() => given?.close())

const patience = { timeout: 240_000 }

/** Mantine puts what lies above the page beside its landmarks, with a header of its own. None of these is a rule of WCAG. */
const options = JSON.stringify({
  rules: {
    region: { enabled: false },
    'landmark-unique': { enabled: false },
    'landmark-no-duplicate-banner': { enabled: false },
  },
})

/** What axe finds wrong with the page as it is: the rule, and where. */
async function violations(): Promise<unknown> {
  // What moves in comes to rest: a color that is half faded in is no color of the app.
  await page.waitForFunction(`document.getAnimations().every(({ playState }) => playState !== 'running') &&
    [...document.querySelectorAll('[data-portal] [style*=opacity]')].every((part) => part.style.opacity === '1')`)
  return page.evaluate(
    `axe.run(document, ${options}).then(({ violations }) =>
      violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html.slice(0, 160))]))`,
  )
}

const go = (screen: string): Promise<void> =>
  page.getByRole('navigation').getByRole('button', { name: screen }).click()

describe('axe finds nothing', () => {
  test('at the entrance', patience, async () => {
    expect(await violations()).toEqual([])
    await page.getByRole('button', { name: 'Ida Holm' }).click()
    await page.getByText('All sent').waitFor()
  })

  for (const scheme of ['light', 'dark'] as const) {
    test(`on any screen, ${scheme}`, patience, async () => {
      await page.emulateMedia({ colorScheme: scheme })
      for (const screen of ['Overview', 'Items', 'Count', 'Movements', 'Decisions']) {
        await go(screen)
        expect([screen, await violations()]).toEqual([screen, []])
      }
    })

    test(`in an item, ${scheme}`, patience, async () => {
      await page.emulateMedia({ colorScheme: scheme })
      await go('Items')
      await page.getByRole('textbox', { name: 'Search items' }).fill('FA-00042')
      await page.getByRole('group', { name: 'Items' }).getByText('FA-00042').click()
      await page.getByRole('dialog').getByText('Import').waitFor()
      expect(await violations()).toEqual([])
      await page.getByRole('button', { name: 'Remove this item' }).click()
      const question = page.getByRole('dialog', { name: 'Remove this item?' })
      await question.waitFor()
      expect(await violations()).toEqual([])
      await question.getByRole('button', { name: 'Keep it' }).click()
      await question.waitFor({ state: 'detached' })
      await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click()
      await page.getByRole('dialog').waitFor({ state: 'detached' })
    })

    test(`in the menu, the status and the question before signing out, ${scheme}`, patience, async () => {
      await page.emulateMedia({ colorScheme: scheme })
      await page.getByRole('button', { name: 'Sync status' }).click()
      await page.getByRole('button', { name: 'Sync now' }).waitFor()
      expect(await violations()).toEqual([])
      await page.keyboard.press('Escape')
      await page.getByRole('button', { name: 'Account of' }).click()
      await page.getByRole('menuitem', { name: 'Sign out' }).waitFor()
      expect(await violations()).toEqual([])
      await page.getByRole('menuitem', { name: 'Sign out' }).click()
      await page.getByText('Everything you did has reached the server.').waitFor()
      expect(await violations()).toEqual([])
      await page.getByRole('button', { name: 'Stay' }).click()
      await page.getByRole('dialog').waitFor({ state: 'detached' })
    })
  }
})
