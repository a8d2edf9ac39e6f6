/** An item as the warehouse begins with it. */
export interface StockItem {
  readonly name: string
  readonly sku: string
  readonly category: string
  readonly price: string
  readonly stock: number
  readonly minimum: number
  readonly tags: readonly string[]
  readonly notes: string
  readonly location: string
}

const sizes = {
  metric: [
    'M3 × 12',
    'M4 × 16',
    'M5 × 20',
    'M6 × 25',
    'M6 × 40',
    'M8 × 30',
    'M8 × 50',
    'M10 × 40',
    'M10 × 80',
    'M12 × 60',
  ],
  millimetres: ['10 mm', '15 mm', '20 mm', '22 mm', '25 mm', '28 mm', '32 mm', '40 mm', '50 mm', '75 mm'],
  metres: ['1 m', '2 m', '3 m', '5 m', '10 m', '15 m', '20 m', '25 m', '50 m', '100 m'],
  litres: ['100 ml', '250 ml', '375 ml', '500 ml', '750 ml', '1 l', '2.5 l', '5 l', '10 l', '20 l'],
  numbers: ['no. 1', 'no. 2', 'no. 3', 'no. 4', 'no. 5', 'no. 6', 'no. 7', 'no. 8', 'no. 9', 'no. 10'],
} as const

const finishes = {
  metal: ['zinc', 'stainless', 'brass', 'black', 'galvanised'],
  plastic: ['white', 'grey', 'black', 'clear', 'anthracite'],
  tool: ['basic', 'trade', 'pro', 'insulated', 'compact'],
  paint: ['white', 'ivory', 'slate', 'forest green', 'signal red'],
} as const

type Family = readonly [
  name: string,
  category: string,
  size: keyof typeof sizes,
  finish: keyof typeof finishes,
  cents: number,
]

const families: readonly Family[] = [
  ['Hex bolt', 'Fasteners', 'metric', 'metal', 12],
  ['Carriage bolt', 'Fasteners', 'metric', 'metal', 18],
  ['Socket screw', 'Fasteners', 'metric', 'metal', 15],
  ['Threaded rod', 'Fasteners', 'metric', 'metal', 95],
  ['Expansion anchor', 'Fasteners', 'metric', 'metal', 64],
  ['Eye bolt', 'Fasteners', 'metric', 'metal', 110],
  ['Wing nut', 'Fasteners', 'metric', 'metal', 22],
  ['Washer', 'Fasteners', 'metric', 'metal', 5],
  ['Compression elbow', 'Plumbing', 'millimetres', 'metal', 240],
  ['Pipe clip', 'Plumbing', 'millimetres', 'plastic', 35],
  ['Waste pipe', 'Plumbing', 'millimetres', 'plastic', 410],
  ['Ball valve', 'Plumbing', 'millimetres', 'metal', 690],
  ['Tee piece', 'Plumbing', 'millimetres', 'metal', 280],
  ['Reducer', 'Plumbing', 'millimetres', 'metal', 195],
  ['Pipe insulation', 'Plumbing', 'millimetres', 'plastic', 165],
  ['Push-fit coupler', 'Plumbing', 'millimetres', 'plastic', 220],
  ['Cable', 'Electrical', 'metres', 'plastic', 380],
  ['Extension lead', 'Electrical', 'metres', 'plastic', 890],
  ['Conduit', 'Electrical', 'metres', 'plastic', 310],
  ['Cable tray', 'Electrical', 'metres', 'metal', 1490],
  ['LED strip', 'Electrical', 'metres', 'plastic', 1250],
  ['Earth wire', 'Electrical', 'metres', 'plastic', 290],
  ['Network cable', 'Electrical', 'metres', 'plastic', 450],
  ['Trunking', 'Electrical', 'metres', 'plastic', 340],
  ['Screwdriver', 'Tools', 'numbers', 'tool', 690],
  ['Chisel', 'Tools', 'numbers', 'tool', 1120],
  ['Hand saw', 'Tools', 'numbers', 'tool', 1690],
  ['Spanner', 'Tools', 'numbers', 'tool', 840],
  ['Pliers', 'Tools', 'numbers', 'tool', 1290],
  ['Clamp', 'Tools', 'numbers', 'tool', 990],
  ['Spirit level', 'Tools', 'numbers', 'tool', 1840],
  ['Hammer', 'Tools', 'numbers', 'tool', 1490],
  ['Wall paint', 'Paint', 'litres', 'paint', 990],
  ['Wood stain', 'Paint', 'litres', 'paint', 1240],
  ['Metal primer', 'Paint', 'litres', 'paint', 1390],
  ['Floor paint', 'Paint', 'litres', 'paint', 1890],
  ['Gloss', 'Paint', 'litres', 'paint', 1150],
  ['Masonry paint', 'Paint', 'litres', 'paint', 1090],
  ['Radiator enamel', 'Paint', 'litres', 'paint', 1420],
  ['Fence paint', 'Paint', 'litres', 'paint', 870],
]

const packs = ['1 pc', '5 pcs', '10 pcs', '50 pcs', '200 pcs'] as const
const packFactors = [1, 4.6, 8.8, 40, 145] as const
const tagNames = ['fragile', 'bulky', 'bestseller', 'seasonal', 'clearance', 'two-person lift'] as const

/** The 10,000 items: every family in every size, finish and pack. The same, whoever asks. */
export function stockList(): readonly StockItem[] {
  return families.flatMap((family, familyIndex) =>
    sizes[family[2]].flatMap((size, sizeIndex) =>
      finishes[family[3]].flatMap((finish, finishIndex) =>
        packs.map((_pack, packIndex) =>
          itemOf(family, { size, finish }, [familyIndex, sizeIndex, finishIndex, packIndex]),
        ),
      ),
    ),
  )
}

function itemOf(
  [name, category, , , cents]: Family,
  { size, finish }: { readonly size: string; readonly finish: string },
  [family, sizeIndex, finishIndex, packIndex]: readonly [number, number, number, number],
): StockItem {
  const n = ((family * 10 + sizeIndex) * 5 + finishIndex) * 5 + packIndex
  // A stride that shares no factor with the size of the warehouse, so that neighbours do not look alike.
  const mixed = (n * 7_919) % 10_007
  const price =
    (cents * (1 + sizeIndex * 0.35) * (1 + finishIndex * 0.12) * (packFactors[packIndex] ?? 1)) / 100
  return {
    name: `${name} ${size}, ${finish}, ${packs[packIndex] ?? ''}`,
    sku: `${category.slice(0, 2).toUpperCase()}-${String(n + 1).padStart(5, '0')}`,
    category,
    price: Math.min(price, 899).toFixed(2),
    stock: mixed % 240,
    minimum: 10 + (mixed % 4) * 10,
    tags: tagNames.filter((_tag, index) => (mixed >> index) % 7 === 0),
    notes: mixed % 3 === 0 ? `Supplier: ${(mixed % 12) + 1} days to deliver.\n\nKeep dry.` : '',
    location: `${String.fromCharCode(65 + (n % 26))}-${String(1 + (mixed % 40)).padStart(2, '0')}-${1 + (mixed % 5)}`,
  }
}
