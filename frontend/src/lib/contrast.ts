/** Black or white, whichever is easier to read on `#rrggbb`: one of them always has a contrast over 4.5:1. */
export function textOn(color: string): '#000000' | '#ffffff' {
    const [red, green, blue] = [1, 3, 5].map((at) => {
        const part = parseInt(color.slice(at, at + 2), 16) / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    }) as [number, number, number];
    // Where contrast to black (L + 0.05) / 0.05 and to white 1.05 / (L + 0.05) are the same, L is 0.179.
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? '#000000' : '#ffffff';
}
