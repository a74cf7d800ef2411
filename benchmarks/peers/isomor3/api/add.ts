export default async function (a: number, b: number): Promise<number> {
    return a + b;
}
