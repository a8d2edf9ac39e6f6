import { expect, test } from 'vitest'

import { branches, cleanCatalogue, readCatalogue } from './catalogue.ts'

test('of the 3,201 films of the package only the one without a title is left out', async () => {
  const catalogue = await readCatalogue()
  expect(catalogue.found).toBe(3_201)
  expect(catalogue.films).toHaveLength(3_200)
  expect(catalogue.repairs).toEqual({
    untitled: 1,
    numericTitles: 9,
    misreadTitles: 18,
    wrongCenturies: 22,
    unknownDates: 8,
  })
})

test('titles and years that were misread are put right', async () => {
  const { films } = await readCatalogue()
  const yearsByTitle = new Map(films.map((film) => [film.title, film.year]))
  expect(yearsByTitle.get('Léon')).toBe(1994)
  expect(yearsByTitle.get("Le Fabuleux destin d'Amélie Poulain")).toBe(2001)
  expect(yearsByTitle.get('Alien³')).toBe(1992)
  expect(yearsByTitle.get('1941')).toBe(1979)
  expect(films.filter((film) => film.title === 'Ben-Hur').map((film) => film.year)).toEqual([1925, 1959])
})

test('every film fits the schema: a price, a count, a branch, no empty tag', async () => {
  const { films } = await readCatalogue()
  const misfits = films.filter(
    (film) =>
      !/^\d+\.\d\d$/.test(film.price) ||
      film.stock < 2 ||
      !branches.includes(film.branch) ||
      film.tags.includes(''),
  )
  expect(misfits).toEqual([])
})

test('an entry of nothing is no film', () => {
  const catalogue = cleanCatalogue([null, {}, { Title: '  ' }, { Title: 21, 'Release Date': 'soon' }])
  expect(catalogue.films.map((film) => [film.title, film.year, film.notes])).toEqual([
    ['21', null, 'Distributor: unknown'],
  ])
  expect(catalogue.repairs).toMatchObject({ untitled: 3, numericTitles: 1, unknownDates: 1 })
})
