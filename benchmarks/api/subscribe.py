from isomor import WsContext


async def subscribe(ctx: WsContext) -> None:
    await ctx.join("topic")
